package golden

import (
	"math"
	"strings"

	"github.com/pagoda-go/pagoda/torch"
)

// Compare fails unless max|got-want| <= tolerance·max|want|, or, where
// floor is positive, max|got-want| <= floor; want is the stored tensor.
func (f *File) Compare(name string, got *torch.Tensor, tolerance, floor float64) {
	f.t.Helper()
	f.CompareFloats(name, got.Float64s(), tolerance, floor)
}

// CompareFloats is Compare for plain numbers.
func (f *File) CompareFloats(name string, got []float64, tolerance, floor float64) {
	f.t.Helper()
	worst, top := worst(got, f.wanted(name, len(got)))
	if worst > tolerance*top && worst > floor {
		f.t.Errorf("%s: off by %.3g of %.3g, tolerance %.3g", name, worst, top, tolerance)
	}
}

// worst is the largest difference from the numbers that are wanted, and the largest of these.
func worst(got, want []float64) (worst, top float64) {
	for i := range want {
		worst, top = max(worst, distance(got[i], want[i])), max(top, math.Abs(want[i]))
	}
	return worst, top
}

// CompareEach is CompareFloats element by element: |got-want| <= tolerance·|want| or <= floor.
func (f *File) CompareEach(name string, got []float64, tolerance, floor float64) {
	f.t.Helper()
	for i, want := range f.wanted(name, len(got)) {
		if off := distance(got[i], want); off > tolerance*math.Abs(want) && off > floor {
			f.t.Errorf("%s: element %d is %g, want %g: off by %.3g, tolerance %.3g", name, i, got[i], want, off, tolerance)
		}
	}
}

// wanted is the stored tensor, whose length is to be n; nil when it is not.
func (f *File) wanted(name string, n int) []float64 {
	f.t.Helper()
	want := f.Tensor(name).Float64s()
	if len(want) != n {
		f.t.Errorf("%s: %d elements, want %d", name, n, len(want))
		return nil
	}
	return want
}

// distance is |a-b|; infinite when it is no number.
func distance(a, b float64) float64 {
	d := math.Abs(a - b)
	switch {
	case a == b:
		return 0 // also of infinities
	case math.IsNaN(d):
		return math.Inf(1)
	}
	return d
}

// CompareGradients compares gradients of parameters with the stored ones, whole
// (`<infix>name`) or thinned (`gradrows`, `gradnorm`), where prefix is what
// stands in front of "grad". Every stored one is to be among them.
func (f *File) CompareGradients(prefix, infix string, names []string, grads []*torch.Tensor, tolerance float64) {
	f.t.Helper()
	floor := f.NumberOr("grad_abs_floor", f.NumberOr(prefix+"grad_abs_floor"+strings.TrimSuffix(infix, "."), 0))
	whole, rows := prefix+"grad"+infix, prefix+"gradrows"+infix
	stored := 0
	for _, name := range f.Names() {
		if strings.HasPrefix(name, whole) || strings.HasPrefix(name, rows) {
			stored++
		}
	}
	compared := 0
	for i, name := range names {
		if f.Has(whole + name) {
			f.Compare(whole+name, grads[i], tolerance, floor)
			compared++
		}
		if f.Has(rows + name) {
			f.CompareFloats(rows+name, f.thin(grads[i]), tolerance, floor)
			f.CompareFloats(prefix+"gradnorm"+infix+name, []float64{torch.Norm(grads[i : i+1])}, tolerance, floor)
			compared++
		}
	}
	if compared == 0 || compared != stored {
		f.t.Errorf("%d gradients compared of %d stored as %s*, %s*", compared, stored, whole, rows)
	}
}

// thin is every gradrows_stride-th row of a gradient.
func (f *File) thin(grad *torch.Tensor) (out []float64) {
	f.t.Helper()
	stride := int(f.NumberOr("gradrows_stride", 16))
	if stride < 1 {
		f.t.Fatalf("metadata gradrows_stride is %d", stride)
	}
	values := grad.Float64s()
	row := len(values) / grad.Dim(0)
	for r := 0; r < grad.Dim(0); r += stride {
		out = append(out, values[r*row:(r+1)*row]...)
	}
	return out
}
