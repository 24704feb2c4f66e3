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
	sample, meanStd := f.thinned(name, got)
	if sample == nil {
		f.t.Errorf("%s: %v, want %s", name, got.Shape(), f.Text(name+".shape"))
		return
	}
	f.CompareFloats(name+".sample", sample, tolerance, 0)
	f.CompareFloats(name+".mean_std", meanStd, tolerance, 0)
}

// IsThinned tells whether got passes CompareThinned.
func (f *File) IsThinned(name string, got *torch.Tensor, tolerance float64) bool {
	f.t.Helper()
	sample, meanStd := f.thinned(name, got)
	if sample == nil {
		return false
	}
	close := func(name string, got []float64) bool {
		worst, top := worst(got, f.Tensor(name).Float64s())
		return worst <= tolerance*top
	}
	return close(name+".sample", sample) && close(name+".mean_std", meanStd)
}

// thinned is what a file would have of a tensor; nil when it is not of the stored shape.
func (f *File) thinned(name string, got *torch.Tensor) (sample, meanStd []float64) {
	f.t.Helper()
	var shape []int
	if f.Decode(name+".shape", &shape); !slices.Equal(got.Shape(), shape) {
		return nil, nil
	}
	stride := f.Int(name + ".stride")
	if stride < 1 {
		f.t.Fatalf("metadata %s.stride is %d", name, stride)
	}
	values := got.Float64s()
	sample = make([]float64, f.Tensor(name+".sample").Len())
	for i := range sample {
		sample[i] = values[i*stride]
	}
	mean, square, n := 0., 0., float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		square += (v - mean) * (v - mean) / n
	}
	return sample, []float64{mean, math.Sqrt(square)}
}
