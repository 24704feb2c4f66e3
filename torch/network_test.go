package torch

import "testing"

// The distance and its gradients equal a composition in float64, pixels of zeros
// included, in all precisions (float64 goes the way of other devices) and layouts, with weights and without.
func TestUnitDistanceMatchesComposition(t *testing.T) {
	root := scope(t)
	for _, dtype := range []DType{Float32, BFloat16, Float64} {
		for _, weighted := range []bool{false, true} {
			s := root.WithGrad()
			const n, c, h = 3, 21, 5
			mask := s.Sub(s.Full(1, n, 1, h, h), s.Pad(s.Full(1, n, 1, 1, h), 0, 0, 2, 2, 0)) // a row of zeros
			a := s.Detach(s.ChannelsLast(s.To(s.Mul(normal(s, 1, n, c, h, h), mask), dtype)))
			b := s.Detach(s.To(normal(s, 2, n, c, h, h), dtype))
			leaves := []*Tensor{a, b}
			for _, leaf := range leaves {
				leaf.RequireGrad(true)
			}
			weights := s.Full(1, c)
			got := s.UnitDistance(a, b, nil)
			if weighted {
				weights = s.Square(normal(s, 3, c))
				got = s.UnitDistance(a, b, s.Reshape(weights, 1, c, 1, 1))
			}
			unit := func(x *Tensor) *Tensor {
				x = s.To(x, Float64)
				square := s.SumKeep(s.Square(x), 1)
				square = s.Add(square, s.To(s.Equal(square, s.Zeros()), Float64))
				return s.Div(x, s.Affine(s.Sqrt(square), 1, 1e-10))
			}
			d := s.Mul(s.Square(s.Sub(unit(a), unit(b))), s.To(s.Reshape(weights, 1, c, 1, 1), Float64))
			want := s.Mean(s.Sum(d, 1), 1, 2)
			tolerance := map[DType]float64{Float32: 1e-6, BFloat16: 1e-2, Float64: 1e-12}[dtype] // of a gradient in bfloat16
			if off := distance(got, want); off > 1e-6 || (got.DType() == Float64) != (dtype == Float64) {
				t.Errorf("%v, weights %v: off by %g, %v", dtype, weighted, off, got.DType())
			}
			dy := normal(s, 4, n)
			g, exact := s.VJP(got, dy, leaves), s.VJP(want, s.To(dy, Float64), leaves)
			for i := range leaves {
				if off := distance(g[i], exact[i]); off > tolerance {
					t.Errorf("%v, weights %v: gradient %d off by %g", dtype, weighted, i, off)
				}
			}
			s.Close()
		}
	}
}

// The normalised weight, its gradient and the vectors after a power iteration equal
// a composition in float64, whatever the weight's shape and layout; the vectors of
// a later call do not change an earlier gradient. Float64 goes the way of other devices.
func TestSpectralNormMatchesComposition(t *testing.T) {
	root := scope(t)
	for _, c := range []struct {
		shape   []int
		last    bool
		iterate bool
		dtype   DType
	}{
		{[]int{6, 4, 3, 3}, false, true, Float32}, {[]int{6, 4, 3, 3}, true, true, Float32}, {[]int{6, 4, 3, 2}, true, false, Float32},
		{[]int{10, 70}, false, true, Float32}, {[]int{1, 64, 3, 3}, true, true, Float32}, {[]int{300, 20, 5}, false, true, Float32},
		{[]int{6, 4, 3, 3}, true, true, Float64}, {[]int{6, 4, 3, 3}, false, false, Float64},
	} {
		s := root.WithGrad()
		w := normal(s, 1, c.shape...)
		if c.last {
			w = s.ChannelsLast(w)
		}
		w = s.Detach(s.To(w, c.dtype))
		w.RequireGrad(true)
		rows := c.shape[0]
		unit := func(x *Tensor) *Tensor { return s.Div(x, s.Sqrt(s.Sum(s.Square(x)))) }
		wide := s.Reshape(s.To(w, Float64), rows, -1)
		u, v := s.To(unit(normal(s, 2, rows)), c.dtype), s.To(unit(normal(s, 3, wide.Dim(1))), c.dtype)
		u64, v64 := s.Add(s.To(u, Float64), s.Zeros()), s.Add(s.To(v, Float64), s.Zeros()) // copies: u and v change
		if c.iterate {
			d := s.Detach(wide)
			v64 = unit(s.Sum(s.Mul(d, s.Reshape(u64, -1, 1)), 0))
			u64 = unit(s.Sum(s.Mul(d, v64), 1))
		}
		want := s.Div(s.To(w, Float64), s.Sum(s.Mul(u64, s.Sum(s.Mul(wide, v64), 1))))
		got := s.SpectralNorm(w, u, v, c.iterate)
		for name, pair := range map[string][2]*Tensor{"weight": {got, want}, "u": {u, u64}, "v": {v, v64}} {
			if off := distance(pair[0], pair[1]); off > 1e-6 {
				t.Errorf("%v: %s off by %g", c, name, off)
			}
		}
		s.SpectralNorm(w, u, v, true)
		dy := s.To(normal(s, 4, c.shape...), c.dtype)
		if off := distance(s.VJP(got, dy, []*Tensor{w})[0], s.VJP(want, s.To(dy, Float64), []*Tensor{w})[0]); off > 1e-6 {
			t.Errorf("%v: gradient off by %g", c, off)
		}
		s.Close()
	}
}
