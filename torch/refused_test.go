package torch

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// Operands that do not fit are errors, whatever loop would have read them.
func TestImpossibleOperandsAreRefused(t *testing.T) {
	s := scope(t)
	x, w := normal(s, 1, 4, 16, 8, 8), normal(s, 2, 32, 16, 3, 3)
	image, ones := normal(s, 3, 3, 8, 4, 4), s.Full(1, 8)
	for name, f := range map[string]func(){
		"a short bias of a convolution":   func() { s.Conv2d(x, w, s.Zeros(3), ConvOptions{Padding: 1}) },
		"a long bias of a convolution":    func() { s.Conv2d(x, w, s.Zeros(64), ConvOptions{Padding: 1}) },
		"a bias of a narrow convolution":  func() { s.Conv2d(x, normal(s, 4, 2, 16, 3, 3), s.Zeros(1, 2), ConvOptions{Padding: 1}) },
		"a kernel larger than the image":  func() { s.Conv2d(normal(s, 5, 2, 16, 3, 3), normal(s, 6, 16, 16, 5, 5), nil, ConvOptions{Stride: 2}) },
		"a short bias of a group norm":    func() { s.GroupNorm(image, ones, s.Zeros(2), 2, 1e-5, GroupNormOptions{SiLU: true}) },
		"a short shift of a group norm":   func() { s.GroupNorm(image, ones, ones, 2, 1e-5, GroupNormOptions{Shift: s.Zeros(2, 8), SiLU: true}) },
		"no groups":                       func() { s.GroupNorm(image, ones, ones, 0, 1e-5, GroupNormOptions{}) },
		"an average of other shapes":      func() { Lerp([]*Tensor{s.Zeros(10, 3)}, []*Tensor{s.Zeros(2, 3)}, 0.5) },
		"an average of other lengths":     func() { Lerp([]*Tensor{x, w}, []*Tensor{x}, 0.5) },
		"a gradient of another shape":     func() { adam(s.Zeros(10, 3), s.Zeros(2, 3), s.Zeros(10, 3), s.Zeros(10, 3)) },
		"a moment of another shape":       func() { adam(s.Zeros(10, 3), s.Zeros(10, 3), s.Zeros(1), s.Zeros(10, 3)) },
		"fewer gradients than parameters": func() { AdamUpdate([]*Tensor{x, w}, []*Tensor{x}, []*Tensor{x, w}, []*Tensor{x, w}, AdamStep{}) },
		"no heads":                        func() { s.SelfAttention(normal(s, 7, 1, 4, 12), 0, HeadsFirst) },
		"attention of a vector":           func() { s.SelfAttention(normal(s, 8, 12), 1, HeadsFirst) },
		"parts that are not whole":        func() { s.Chunk(s.Zeros(5), 2, 0) },
		"a module that is closed":         func() { (&Script{}).Forward(s, x, nil) },
		"a tensor freed twice":            func() { s.Free(ones, ones) },
	} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.As(err, new(*Error)) {
					t.Errorf("%s: %v, want an error of the engine", name, err)
				}
			}()
			f()
		}()
	}
}

func adam(p, g, m, v *Tensor) {
	AdamUpdate([]*Tensor{p}, []*Tensor{g}, []*Tensor{m}, []*Tensor{v}, AdamStep{LR: 1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Correction1: 0.1, Correction2: 0.1})
}

// Operands that are stretched, strided or empty are as good as others.
func TestUnusualOperands(t *testing.T) {
	s := scope(t).WithGrad()
	defer s.Close()
	x, w, b := normal(s, 9, 3, 8, 4, 4), normal(s, 10, 8), normal(s, 11, 8)
	scale := normal(s, 12, 1, 8)
	same := func(name string, a, b *Tensor) {
		t.Helper()
		if n := Norm([]*Tensor{s.Sub(s.To(a, Float32), s.To(b, Float32))}); n > 1e-5 {
			t.Errorf("%s: off by %g", name, n)
		}
	}
	same("one scale for all images", s.GroupNorm(x, w, b, 2, 1e-5, GroupNormOptions{Scale: scale, SiLU: true}), s.GroupNorm(x, w, b, 2, 1e-5, GroupNormOptions{Scale: s.Clone(s.Expand(scale, 3, 8)), SiLU: true}))
	strided := func(x *Tensor) *Tensor { // the same values, every second place in memory
		return s.Reshape(s.Narrow(s.Cat(1, s.Reshape(x, -1, 1), s.Zeros(x.Dim(0), 1)), 1, 0, 1), -1)
	}
	same("strided weights", s.GroupNorm(x, strided(w), strided(b), 2, 1e-5, GroupNormOptions{}), s.GroupNorm(x, w, b, 2, 1e-5, GroupNormOptions{}))
	if y := s.GroupNorm(s.Zeros(0, 8, 4, 4), w, b, 2, 1e-5, GroupNormOptions{}); !slices.Equal(y.Shape(), []int{0, 8, 4, 4}) {
		t.Errorf("group norm of no images: %v", y.Shape())
	}
	same("a negative slope", s.LeakyReLU(x, -0.5), s.To(s.LeakyReLU(s.To(x, Float64), -0.5), Float32))
	leaf := s.Detach(normal(s, 13, 4, 4))
	leaf.RequireGrad(true)
	half := s.Narrow(s.To(leaf, BFloat16), 1, 0, 2)
	same("a rectified slice in bfloat16", s.Grad(s.Sum(s.To(s.ReLU6(half), Float32)), []*Tensor{leaf})[0], s.Grad(s.Sum(s.ReLU6(s.Narrow(leaf, 1, 0, 2))), []*Tensor{leaf})[0])
	small := s.Resize(s.To(x, BFloat16), 2, 2, BicubicAntialias)
	if n := Norm([]*Tensor{s.Sub(s.To(small, Float32), s.Resize(x, 2, 2, BicubicAntialias))}); n > 0.05 || small.DType() != BFloat16 {
		t.Errorf("antialiased in bfloat16: off by %g, %s", n, small.DType())
	}
}

// Gradients are tensors of their own: changing one in place changes no other.
func TestGradientsAreApart(t *testing.T) {
	s := scope(t).WithGrad()
	defer s.Close()
	a, b := s.FromFloat32([]float32{1, 2}, 2), s.FromFloat32([]float32{3, 4}, 2)
	a.RequireGrad(true)
	b.RequireGrad(true)
	factor, dy := s.FromFloat32([]float32{3, 5}, 2), s.FromFloat32([]float32{1, 1}, 2)
	gradients := s.VJP(s.Mul(s.Add(a, b), factor), dy, []*Tensor{a, b})
	Multiply(gradients, 0.5)
	for i, want := range [][]float32{{1.5, 2.5}, {1.5, 2.5}} {
		if got := gradients[i].Float32s(); !slices.Equal(got, want) {
			t.Errorf("half of gradient %d is %v, want %v", i, got, want)
		}
	}
	y := s.Add(a, b)
	Multiply(s.VJP(y, dy, []*Tensor{y}), 0.5)
	if got := dy.Float32s(); !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("the gradient that was given has become %v", got)
	}
	of := s.Grad(s.Sum(a), []*Tensor{a})
	Multiply(of, 0.5)
	if got := of[0].Float32s(); !slices.Equal(got, []float32{0.5, 0.5}) {
		t.Errorf("half the gradient of a sum is %v", got)
	}
}

// A kernel's gradient keeps float32's precision over a hundred thousand pixels.
func TestLongSumsKeepTheirPrecision(t *testing.T) {
	if device(t) != CPU {
		t.Skip("the binding's own convolutions are the processor's")
	}
	s := scope(t).WithGrad()
	defer s.Close()
	x, w := s.Full(0.7, 2, 32, 256, 256), normal(s, 14, 32, 32, 3, 3)
	w.RequireGrad(true)
	y := s.Conv2d(x, w, nil, ConvOptions{Padding: 1})
	centre := s.VJP(y, s.Full(0.3, y.Shape()...), []*Tensor{w})[0].Float32s()[4]
	want := 2 * 256 * 256 * float64(float32(0.7)) * float64(float32(0.3))
	if off := math.Abs(float64(centre)/want - 1); off > 2e-5 {
		t.Errorf("%v, off by %.2g of %v", centre, off, want)
	}
}

// A checkpoint that comes to nothing leaves nothing behind, and one of constants has no gradient.
func TestCheckpointsOfNothing(t *testing.T) {
	s := scope(t).WithGrad()
	defer s.Close()
	kept := func() (n int) {
		checkpoints.Range(func(any, any) bool { n++; return true })
		return n
	}
	before := kept()
	x := s.FromFloat32([]float32{1, 2}, 2)
	x.RequireGrad(true)
	child := s.Child()
	constant := child.Checkpoint([]*Tensor{x}, nil, func(c *Scope, in []*Tensor) *Tensor { return c.Detach(in[0]) })
	if got := child.Grad(child.Sum(child.Add(constant, x)), []*Tensor{x})[0].Float32s(); !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("gradient %v beside a constant", got)
	}
	attempt := func(f func()) {
		defer func() {
			if recover() == nil {
				t.Error("no error")
			}
		}()
		f()
	}
	attempt(func() {
		s.Checkpoint([]*Tensor{x, nil}, nil, func(c *Scope, in []*Tensor) *Tensor { return c.Scale(in[0], 2) })
	})
	times := 0
	y := child.Checkpoint([]*Tensor{x}, nil, func(c *Scope, in []*Tensor) *Tensor {
		if times++; times > 1 {
			panic("not twice")
		}
		return c.Scale(in[0], 2)
	})
	attempt(func() { child.Grad(child.Sum(y), []*Tensor{x}) })
	child.Close()
	if n := kept(); n != before {
		t.Errorf("%d checkpoints are left behind", n-before)
	}
}
