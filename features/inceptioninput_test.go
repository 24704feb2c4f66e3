package features

import (
	"math"
	"slices"
	"testing"
)

// What TensorFlow 1 computes pixel by pixel, width before height, to the last
// bit: features must not change from one call to the next.
func TestResizeTensorFlowIsExact(t *testing.T) {
	const in, out = 7, 17
	s := newScope(t)
	x := normal(s, 1, 1, 1, in, in+2)
	pixels := x.Float32s()
	along := func(i, size int) (low, high int, share float32) {
		at := float32(i) * (float32(size) / float32(out))
		low = int(math.Floor(float64(at)))
		return low, min(low+1, size-1), at - float32(low)
	}
	between := func(a, b, share float32) float32 { return a + float32((b-a)*share) }
	var want []float32
	for y := range out {
		top, bottom, down := along(y, in)
		for column := range out {
			left, right, across := along(column, in+2)
			row := func(r int) float32 {
				return between(pixels[r*(in+2)+left], pixels[r*(in+2)+right], across)
			}
			want = append(want, between(row(top), row(bottom), down))
		}
	}
	for range 20 {
		if got := resizeTensorFlow(s, x, out, out).Float32s(); !slices.Equal(got, want) {
			t.Fatal("not TensorFlow's bits")
		}
	}
}
