package checkpoint

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestFloat32s(t *testing.T) {
	f64 := binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1))
	for _, test := range []struct {
		tensor Tensor
		want   float32
	}{
		{Tensor{F64, []int{1}, f64}, 0.1},
		{Tensor{BF16, []int{1}, []byte{0xc0, 0x3f}}, 1.5},
		{Tensor{F16, []int{1}, []byte{0x00, 0x3e}}, 1.5},
		{Tensor{F16, []int{1}, []byte{0x01, 0x00}}, 0x1p-24}, // the smallest subnormal
		{Tensor{F16, []int{1}, []byte{0xff, 0xfb}}, -65504},
		{FromFloat32s([]float32{0x1p-140}, 1), 0x1p-140},
	} {
		got, err := Float32s(test.tensor)
		if err != nil || len(got) != 1 || got[0] != test.want {
			t.Errorf("%s %x: %v, %v; want %v", test.tensor.DType, test.tensor.Data, got, err, test.want)
		}
	}
	if _, err := Float32s(Tensor{I64, []int{1}, make([]byte, 8)}); !errors.Is(err, ErrDType) {
		t.Errorf("I64: %v, want %v", err, ErrDType)
	}
}

func TestHalfFrom(t *testing.T) {
	inf := float32(math.Inf(1))
	// 1+2⁻¹¹ lies half-way and goes to the even neighbour, as does 1+3·2⁻¹¹.
	values := []float32{0, 1, -2.5, 1 + 0x1p-11, 1 + 3*0x1p-11, 65504, 65520, -inf, 0x1p-24, 0x1p-26}
	want := []float32{0, 1, -2.5, 1, 1 + 0x1p-9, 65504, inf, -inf, 0x1p-24, 0}
	half := HalfFrom(FromFloat32s(values, 2, 5))
	if half.DType != F16 || !slices.Equal(half.Shape, []int{2, 5}) {
		t.Errorf("%s%v", half.DType, half.Shape)
	}
	if got, err := Float32s(half); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	labels := Tensor{I32, []int{1}, []byte{1, 0, 0, 0}}
	if got := HalfFrom(labels); got.DType != I32 {
		t.Errorf("integers became %s", got.DType)
	}
}
