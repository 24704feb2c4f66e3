package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/x448/float16"
)

// Tensor is a dense array in row-major order, as it lies in a file.
type Tensor struct {
	DType DType
	Shape []int  // empty for a scalar
	Data  []byte // little-endian elements, product(Shape)·DType.Size() bytes
}

// Source is a file of tensors by name, whatever its format. What it hands out is
// a view, valid until it is closed.
type Source interface {
	Tensor(name string) (Tensor, error)
}

// FromFloat32s makes an F32 tensor that holds a copy of values. The product of
// shape must be len(values); [Write] refuses the tensor otherwise.
func FromFloat32s(values []float32, shape ...int) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return Tensor{DType: F32, Shape: shape, Data: data}
}

// Float32s returns the elements of a floating-point tensor (F64, F32, F16 or
// BF16) as float32: exact, except that F64 is rounded to nearest. Other types
// are [ErrDType].
func Float32s(t Tensor) ([]float32, error) {
	decode, err := decoder(t.DType)
	if err != nil {
		return nil, err
	}
	size := t.DType.Size()
	values := make([]float32, len(t.Data)/size)
	for i := range values {
		values[i] = decode(t.Data[i*size:])
	}
	return values, nil
}

// HalfFrom returns a floating-point tensor (F64, F32 or BF16) rounded to F16,
// to nearest even; magnitudes beyond 65504 become infinite. Tensors of other
// types come back as they are.
func HalfFrom(t Tensor) Tensor {
	values, err := Float32s(t)
	if err != nil {
		return t
	}
	data := make([]byte, 0, 2*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint16(data, float16.Fromfloat32(v).Bits())
	}
	return Tensor{DType: F16, Shape: t.Shape, Data: data}
}

// decoder returns the function that reads one element from the front of a slice.
func decoder(d DType) (func([]byte) float32, error) {
	switch d {
	case F64:
		return func(b []byte) float32 {
			return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}, nil
	case F32:
		return func(b []byte) float32 {
			return math.Float32frombits(binary.LittleEndian.Uint32(b))
		}, nil
	case F16:
		return func(b []byte) float32 {
			return float16.Frombits(binary.LittleEndian.Uint16(b)).Float32()
		}, nil
	case BF16: // the upper half of a float32
		return func(b []byte) float32 {
			return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
		}, nil
	}
	return nil, fmt.Errorf("%w: %q is not a floating-point type that converts to float32", ErrDType, d)
}

// byteSize returns the bytes that a tensor of this type and shape fills.
func byteSize(d DType, shape []int) (int, error) {
	size := d.Size()
	if size == 0 {
		return 0, fmt.Errorf("%w: %q", ErrDType, d)
	}
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("%w: %v has a negative side", ErrShape, shape)
		}
		high, low := bits.Mul64(uint64(size), uint64(n))
		if high != 0 || low > math.MaxInt {
			return 0, fmt.Errorf("%w: %v has more elements than memory can hold", ErrShape, shape)
		}
		size = int(low)
	}
	return size, nil
}
