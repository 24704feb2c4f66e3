package torch

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// scope is a root scope that must leave no tensor behind.
func scope(t testing.TB) *Scope {
	t.Helper()
	before := LiveTensors
	if err := Load(); err != nil {
		t.Fatal(err)
	}
	start := before()
	s := NewScope(CPU)
	t.Cleanup(func() {
		s.Close()
		if n := LiveTensors(); n != start {
			t.Errorf("%d tensors live, %d before", n, start)
		}
	})
	return s
}

func normal(s *Scope, seed uint64, shape ...int) *Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return s.FromFloat32(x, shape...)
}

// distance is the largest difference relative to the largest value of b.
func distance(a, b *Tensor) float64 {
	x, y := a.Float64s(), b.Float64s()
	worst, top := 0., 1e-30
	for i := range x {
		worst = max(worst, math.Abs(x[i]-y[i]))
		top = max(top, math.Abs(y[i]))
	}
	return worst / top
}

func TestScopeFreesItsTensors(t *testing.T) {
	root := scope(t)
	base := LiveTensors()
	s := root.WithGrad()
	x := normal(s, 1, 2, 3)
	x.RequireGrad(true)
	y := s.Sum(s.Square(x))
	g := s.Keep(s.Grad(y, []*Tensor{x})...)
	s.Close()
	if n := LiveTensors() - base; n != 1 {
		t.Fatalf("%d tensors outlived the scope, want the kept one", n)
	}
	if g.Dim(1) != 3 {
		t.Fatal("the kept tensor is unusable")
	}
}

func TestUseAfterCloseIsAnError(t *testing.T) {
	s := NewScope(CPU)
	x := s.Zeros(2)
	s.Close()
	err := func() (err error) {
		defer Recover(&err)
		NewScope(CPU).Neg(x)
		return nil
	}()
	if err == nil || !strings.Contains(err.Error(), "after its scope was closed") {
		t.Fatal(err)
	}
}

func TestErrorNamesOperatorAndShapes(t *testing.T) {
	s := scope(t)
	err := func() (err error) {
		defer Recover(&err)
		s.MatMul(s.Zeros(2, 3), s.Zeros(4, 5))
		return nil
	}()
	var e *Error
	if !errors.As(err, &e) || e.Op != "matmul" || len(e.Shapes) != 2 || strings.Contains(e.Message, "\n") {
		t.Fatalf("%#v", err)
	}
}

// Gradients are recorded by scope, whatever thread runs the goroutine.
func TestGradModeFollowsTheScope(t *testing.T) {
	s := scope(t)
	x := s.Zeros(3)
	x.RequireGrad(true)
	done := make(chan bool)
	for range 4 {
		go func() {
			on := NewScope(CPU).WithGrad()
			off := on.NoGrad()
			ok := true
			for range 200 {
				ok = ok && on.Neg(x).RequiresGrad() && !off.Neg(x).RequiresGrad()
			}
			off.Close()
			on.Close()
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("gradient mode leaked between scopes")
		}
	}
}

// The fused group norm equals the composition of plain operators, forwards and backwards.
func TestGroupNormMatchesComposition(t *testing.T) {
	for _, c := range []struct {
		n, c, h, groups int
		film, silu      bool
		tolerance       float64
	}{{4, 64, 8, 32, true, true, 1e-5}, {1, 32, 16, 32, false, true, 1e-5}, {3, 48, 5, 8, true, false, 1e-5}, {2, 96, 7, 32, false, false, 1e-5}} {
		root := scope(t)
		s := root.WithGrad()
		x := s.Affine(normal(s, 1, c.n, c.c, c.h, c.h), 2, 3)
		w, b := normal(s, 2, c.c), normal(s, 3, c.c)
		leaves := []*Tensor{x, w, b}
		o := GroupNormOptions{SiLU: c.silu}
		if c.film {
			o.Scale, o.Shift = normal(s, 4, c.n, c.c), normal(s, 5, c.n, c.c)
			leaves = append(leaves, o.Scale, o.Shift)
		}
		for i, l := range leaves {
			leaves[i] = s.Detach(l)
			leaves[i].RequireGrad(true)
		}
		x, w, b = leaves[0], leaves[1], leaves[2]
		if c.film {
			o.Scale, o.Shift = leaves[3], leaves[4]
		}
		dy := normal(s, 6, c.n, c.c, c.h, c.h)
		fused := s.GroupNorm(x, w, b, c.groups, 1e-5, o)
		got := s.VJP(fused, dy, leaves)

		g := s.Reshape(x, c.n, c.groups, -1)
		g = s.Sub(g, s.MeanKeep(g, 2))
		g = s.Mul(g, s.Rsqrt(s.Affine(s.MeanKeep(s.Square(g), 2), 1, 1e-5)))
		y := s.Reshape(g, c.n, c.c, c.h, c.h)
		y = s.Add(s.Mul(y, s.Reshape(w, 1, c.c, 1, 1)), s.Reshape(b, 1, c.c, 1, 1))
		if c.film {
			y = s.Mul(y, s.Affine(s.Reshape(o.Scale, c.n, c.c, 1, 1), 1, 1))
			y = s.Add(y, s.Reshape(o.Shift, c.n, c.c, 1, 1))
		}
		if c.silu {
			y = s.SiLU(y)
		}
		want := s.VJP(y, dy, leaves)
		if d := distance(fused, y); d > c.tolerance {
			t.Errorf("%+v: output off by %g", c, d)
		}
		for i := range want {
			if d := distance(got[i], want[i]); d > 10*c.tolerance {
				t.Errorf("%+v: gradient %d off by %g", c, i, d)
			}
		}
		half := s.GroupNorm(s.To(x, BFloat16), w, b, c.groups, 1e-5, o)
		if d := distance(half, y); half.DType() != BFloat16 || d > 2e-2 {
			t.Errorf("%+v: bfloat16 output off by %g", c, d)
		}
		s.Close()
	}
}

func TestComputeDTypeIsTheScopes(t *testing.T) {
	root := scope(t)
	s := root.WithCompute(BFloat16)
	defer s.Close()
	x, w := normal(s, 1, 2, 8, 4, 4), normal(s, 2, 8, 8, 3, 3)
	half := s.Conv2d(x, w, nil, ConvOptions{Padding: 1})
	full := root.Conv2d(x, w, nil, ConvOptions{Padding: 1})
	if half.DType() != BFloat16 || full.DType() != Float32 {
		t.Fatal(half.DType(), full.DType())
	}
	if d := distance(half, full); d > 2e-2 {
		t.Fatalf("bfloat16 convolution off by %g", d)
	}
}

func TestEigh(t *testing.T) {
	s := scope(t)
	a := s.To(normal(s, 1, 6, 6), Float64)
	a = s.Add(a, s.Permute(a, 1, 0))
	w, v := s.Eigh(a)
	back := s.MatMul(s.Mul(v, w), s.Permute(v, 1, 0))
	if d := distance(back, a); d > 1e-12 {
		t.Fatal(d)
	}
}

func TestResidentMemoryStaysFlat(t *testing.T) {
	s := scope(t)
	w := normal(s, 1, 32, 32, 3, 3)
	w.RequireGrad(true)
	for range 50 {
		step := s.WithGrad()
		y := step.Conv2d(normal(step, 2, 4, 32, 16, 16), w, nil, ConvOptions{Padding: 1})
		step.Grad(step.Mean(step.Square(y)), []*Tensor{w})
		step.Close()
	}
}
