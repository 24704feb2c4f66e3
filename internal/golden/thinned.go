package golden

import (
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/torch"
)

// CompareThinned compares a tensor of which the file has the shape, every
// stride-th element (`.sample`), mean and standard deviation (`.mean_std`).
func (f *File) CompareThinned(name string, got *torch.Tensor, tolerance float64) {
	f.t.Helper()
	values := got.Float64s()
	var shape []int
	if f.Decode(name+".shape", &shape); !slices.Equal(got.Shape(), shape) {
		f.t.Errorf("%s: %v, want %v", name, got.Shape(), shape)
		return
	}
	n := len(values)
	stride := f.Int(name + ".stride")
	if stride < 1 {
		f.t.Fatalf("metadata %s.stride is %d", name, stride)
	}
	sample := make([]float64, f.Tensor(name+".sample").Len())
	for i := range sample {
		sample[i] = values[i*stride]
	}
	f.CompareFloats(name+".sample", sample, tolerance, 0)
	mean, square := 0., 0.
	for _, v := range values {
		mean += v / float64(n)
	}
	for _, v := range values {
		square += (v - mean) * (v - mean) / float64(n)
	}
	f.CompareFloats(name+".mean_std", []float64{mean, math.Sqrt(square)}, tolerance, 0)
}
