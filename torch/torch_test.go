package torch

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// device is that of package testdevice, which imports this one.
func device(t testing.TB) Device {
	t.Helper()
	d, err := ParseDevice(cmp.Or(os.Getenv("PAGODA_DEVICE"), CPU.String()))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// scope is a root scope that must leave no tensor behind.
func scope(t testing.TB) *Scope {
	t.Helper()
	d := device(t)
	start := LiveTensors()
	s := NewScope(d)
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
	s := NewScope(device(t))
	x := s.Zeros(2)
	s.Close()
	err := func() (err error) {
		defer Recover(&err)
		NewScope(device(t)).Neg(x)
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
	s, d := scope(t), device(t)
	x := s.Zeros(3)
	x.RequireGrad(true)
	done := make(chan bool)
	for range 4 {
		go func() {
			on := NewScope(d).WithGrad()
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

// LeakyReLU and ReLU6 equal the composition of plain operators, forwards and
// backwards, in both precisions and layouts.
func TestRectifiedMatchesComposition(t *testing.T) {
	root := scope(t)
	for _, dtype := range []DType{Float32, BFloat16, Float64} {
		for name, f := range map[string]struct {
			fused func(s *Scope, x *Tensor) *Tensor
			slope float64
			high  float64
		}{
			"leaky": {func(s *Scope, x *Tensor) *Tensor { return s.LeakyReLU(x, 0.25) }, 0.25, 1e6},
			"six":   {func(s *Scope, x *Tensor) *Tensor { return s.ReLU6(x) }, 0, 6},
		} {
			s := root.WithGrad()
			x := s.Detach(s.To(s.ChannelsLast(s.Scale(normal(s, 1, 3, 5, 7, 9), 4)), dtype))
			x.RequireGrad(true)
			dy := s.To(normal(s, 2, 3, 5, 7, 9), dtype)
			y := f.fused(s, x)
			plain := s.Clamp(s.Sub(s.ReLU(x), s.Scale(s.ReLU(s.Neg(x)), f.slope)), -1e6, f.high)
			got, want := s.VJP(y, dy, []*Tensor{x})[0], s.VJP(plain, dy, []*Tensor{x})[0]
			if d := distance(y, plain); d != 0 || y.DType() != dtype {
				t.Errorf("%s %v: output off by %g", name, dtype, d)
			}
			if d := distance(got, want); d != 0 || got.DType() != dtype {
				t.Errorf("%s %v: gradient off by %g", name, dtype, d)
			}
			edge := s.FromFloat32([]float32{-1, 0, 6, 7}, 4)
			edge.RequireGrad(true)
			slopes := map[string][]float32{"leaky": {0.25, 0.25, 1, 1}, "six": {0, 0, 0, 0}}[name]
			if g := s.VJP(f.fused(s, edge), s.Full(1, 4), []*Tensor{edge})[0].Float32s(); !slices.Equal(g, slopes) {
				t.Errorf("%s: gradient %v at the edges", name, g)
			}
			s.Close()
		}
	}
}

// Values and gradients of the binding's own convolutions against libtorch's in float64: even
// and odd sizes, few and many channels, strides, kernels that are not square,
// also where images or weights need no gradient. The first ones are Winograd's, the last ones narrow.
func TestConvolutionsMatchFloat64(t *testing.T) {
	if device(t) != CPU {
		t.Skip("the binding's own convolutions are the processor's")
	}
	root := scope(t)
	gatheredRows(true)
	defer gatheredRows(!cpu.X86.HasAVX512F)
	same := ConvOptions{Padding: 1}
	for _, c := range []struct {
		n, in, out, h, w, kh, kw int
		o                        ConvOptions
	}{
		{4, 16, 16, 8, 8, 3, 3, same}, {70, 32, 16, 2, 2, 3, 3, same}, {40, 16, 48, 13, 11, 3, 3, same},
		{1, 64, 32, 17, 64, 3, 3, same}, {64, 48, 80, 1, 1, 3, 3, same}, {1, 112, 144, 16, 16, 3, 3, same},
		{5, 1, 16, 9, 7, 3, 3, same}, {5, 16, 32, 9, 8, 3, 3, ConvOptions{Padding: 1, Stride: 2}}, {3, 3, 64, 20, 23, 7, 7, ConvOptions{Stride: 2, Padding: 3}},
		{2, 20, 16, 6, 9, 1, 7, ConvOptions{Rect: [2]int{0, 3}}}, {2, 24, 16, 2, 2, 4, 4, ConvOptions{Padding: 3}}, {2, 130, 32, 8, 8, 2, 2, ConvOptions{Stride: 2}},
		{5, 32, 1, 9, 7, 3, 3, same}, {3, 48, 3, 8, 12, 3, 3, same}, {2, 16, 2, 1, 1, 3, 3, same}, {4, 64, 3, 5, 6, 1, 1, ConvOptions{}}, {2, 16, 1, 3, 4, 5, 5, ConvOptions{Padding: 2}},
	} {
		for _, needs := range [][2]bool{{true, true}, {true, false}, {false, true}} {
			s := root.WithGrad()
			x, w, b := normal(s, 1, c.n, c.in, c.h, c.w), normal(s, 2, c.out, c.in, c.kh, c.kw), normal(s, 3, c.out)
			leaves := []*Tensor{b}
			for i, leaf := range []*Tensor{x, w} {
				if needs[i] {
					leaves = append(leaves, leaf)
				}
			}
			for _, leaf := range leaves {
				leaf.RequireGrad(true)
			}
			y := s.Conv2d(s.ChannelsLast(x), w, b, c.o)
			want := s.Conv2d(s.To(x, Float64), s.To(w, Float64), s.To(b, Float64), c.o)
			plain := s.Conv2d(s.ChannelsLast(x), w, nil, c.o)
			const tolerance = 2e-6 // of the largest value
			if d := distance(y, want); d > tolerance {
				t.Errorf("%v: off by %g", c, d)
			}
			if d := distance(s.Add(plain, s.Reshape(b, 1, c.out, 1, 1)), want); d > tolerance {
				t.Errorf("%v: without bias off by %g", c, d)
			}
			dy := normal(s, 4, y.Shape()...)
			got, exact := s.VJP(y, dy, leaves), s.VJP(want, s.To(dy, Float64), leaves)
			for i := range leaves {
				if d := distance(got[i], exact[i]); d > tolerance {
					t.Errorf("%v, needs %v: gradient %d off by %g", c, needs, i, d)
				}
			}
			s.Close()
		}
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

// A batch that is not finite leaves BatchNorm's running statistics as they were
// in the channels concerned, and moves the others.
func TestBatchNormKeepsFiniteStatistics(t *testing.T) {
	s := scope(t)
	x := normal(s, 1, 2, 2, 3, 3)
	values := x.Float32s()
	values[0] = float32(math.NaN())
	mean, variance := s.Full(0, 2), s.Full(1, 2)
	s.BatchNorm(s.FromFloat32(values, 2, 2, 3, 3), s.Full(1, 2), s.Zeros(2), mean, variance, true, 0.1, 1e-5)
	for i, statistic := range []*Tensor{mean, variance} {
		v := statistic.Float64s()
		if start := float64(i); v[0] != start || v[1] == start || math.IsNaN(v[1]) {
			t.Errorf("statistic %d became %v", i, v)
		}
	}
}

// Resizing to the same size copies nothing, and its gradient passes.
func TestResizeToTheSameSize(t *testing.T) {
	s := scope(t).WithGrad()
	defer s.Close()
	x := normal(s, 1, 1, 2, 3, 4)
	x.RequireGrad(true)
	y := s.Resize(x, 3, 4, Bicubic)
	if g := s.Grad(s.Sum(y), []*Tensor{x})[0]; distance(g, s.Full(1, 1, 2, 3, 4)) > 0 {
		t.Error("the gradient is not 1")
	}
	x.Copy(s.Zeros(1, 2, 3, 4))
	if distance(y, x) > 0 {
		t.Error("the memory is not shared")
	}
}

func TestNorm(t *testing.T) {
	s := scope(t)
	if got := Norm([]*Tensor{s.Full(2, 3), s.Full(-1, 2, 2)}); math.Abs(got-4) > 1e-6 {
		t.Errorf("the norm is %g, want 4", got)
	}
	if got := Norm(nil); got != 0 {
		t.Errorf("the norm of nothing is %g", got)
	}
	many, other := s.Full(0.5, 40, 5000), s.To(s.Full(3, 4, 10), BFloat16)
	if got, want := Norm([]*Tensor{many, other}), math.Sqrt(200_000*0.25+40*9); math.Abs(got/want-1) > 1e-6 {
		t.Errorf("the norm of many elements is %g, want %g", got, want)
	}
}

// Averages move whatever the sizes and layouts; with weight 1 they become their sources exactly.
func TestLerp(t *testing.T) {
	s := scope(t)
	for _, weight := range []float64{0.1, 0.75, 1} {
		a, b := s.ChannelsLast(normal(s, 1, 50, 40, 5, 7)), normal(s, 2, 50, 40, 5, 7)
		plain, half := normal(s, 3, 70_000), normal(s, 4, 70_000)
		for _, pair := range [][2]*Tensor{{a, b}, {plain, half}} {
			want := s.Add(s.Scale(pair[0], 1-weight), s.Scale(pair[1], weight))
			Lerp(pair[:1], pair[1:], weight)
			if d := distance(pair[0], want); d > 1e-6 || (weight == 1 && distance(pair[0], pair[1]) != 0) {
				t.Errorf("weight %g: off by %g", weight, d)
			}
		}
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

func TestGradientsAreZeroWhereNothingDepends(t *testing.T) {
	s := scope(t).WithGrad()
	defer s.Close()
	x, unused := normal(s, 1, 3), normal(s, 2, 2)
	x.RequireGrad(true)
	unused.RequireGrad(true)
	g := s.Grad(s.Sum(s.Square(x)), []*Tensor{x, unused})
	if d := distance(g[0], s.Scale(x, 2)); d > 1e-6 {
		t.Errorf("gradient off by %g", d)
	}
	for _, v := range g[1].Float32s() {
		if v != 0 {
			t.Errorf("gradient of an unused tensor is %v", v)
		}
	}
}

func TestFLOPsAreCounted(t *testing.T) {
	root := scope(t)
	var total float64
	s := root.CountFLOPs(&total)
	defer s.Close()
	x, w := normal(s, 1, 2, 3, 8, 8), normal(s, 2, 5, 3, 3, 3)
	s.Conv2d(x, w, nil, ConvOptions{Padding: 1})
	forward := 2. * 2 * 5 * 8 * 8 * 3 * 9
	if total != forward {
		t.Errorf("forward: %v operations, want %v", total, forward)
	}
	w.RequireGrad(true)
	g := s.WithGrad()
	defer g.Close()
	total = 0
	g.Conv2d(x, w, nil, ConvOptions{Padding: 1})
	if total != 2*forward {
		t.Errorf("with the kernel's gradient: %v operations, want %v", total, 2*forward)
	}
}

// Self-attention equals softmax(q·kᵀ/√D)·v by plain operators, forwards and backwards, in every layout.
func TestSelfAttentionMatchesComposition(t *testing.T) {
	const n, positions, heads, d = 2, 37, 3, 20
	for layout, c := range map[HeadLayout]struct {
		shape []int // of the channels
		part  int   // which of them is q/k/v
	}{
		HeadsFirst: {[]int{heads, 3, d}, 1},
		PartsFirst: {[]int{3, heads, d}, 0},
		PartsLast:  {[]int{heads, d, 3}, 2},
	} {
		root := scope(t)
		s := root.WithGrad()
		qkv := normal(s, 1, n, positions, 3*heads*d)
		qkv.RequireGrad(true)
		dy := normal(s, 2, n, positions, heads*d)
		y := s.SelfAttention(qkv, heads, layout)
		got := s.VJP(y, dy, []*Tensor{qkv})[0]

		split := s.Reshape(qkv, append([]int{n, positions}, c.shape...)...)
		part := func(i int) *Tensor { // (n,heads,positions,d)
			x := s.Reshape(s.Narrow(split, 2+c.part, i, 1), n, positions, heads, d)
			return s.Permute(x, 0, 2, 1, 3)
		}
		w := s.Softmax(s.Scale(s.MatMul(part(0), s.Permute(part(1), 0, 1, 3, 2)), 1/math.Sqrt(d)), -1)
		want := s.Reshape(s.Permute(s.MatMul(w, part(2)), 0, 2, 1, 3), n, positions, heads*d)
		if e := distance(y, want); e > 1e-5 {
			t.Errorf("layout %d: output off by %g", layout, e)
		}
		if e := distance(got, s.VJP(want, dy, []*Tensor{qkv})[0]); e > 1e-5 {
			t.Errorf("layout %d: gradient off by %g", layout, e)
		}
		if e := distance(s.SelfAttention(s.To(qkv, BFloat16), heads, layout), want); e > 2e-2 {
			t.Errorf("layout %d: bfloat16 output off by %g", layout, e)
		}
		if e := distance(s.SelfAttention(s.To(qkv, Float64), heads, layout), want); e > 1e-5 {
			t.Errorf("layout %d: composed output off by %g", layout, e)
		}
		s.Close()
	}
}

func TestParseDevice(t *testing.T) {
	if d, err := ParseDevice("cpu"); d != CPU || err != nil {
		t.Error(d, err)
	}
	for _, name := range []string{"gpu", "cuda:x", "cuda:-1", "cuda:99"} {
		if _, err := ParseDevice(name); err == nil {
			t.Errorf("%q is a device", name)
		}
	}
}

// Loops of the binding's own must use libtorch's threads: compiled without
// OpenMP they run on one, and nothing else tells.
func TestOwnLoopsUseAllThreads(t *testing.T) {
	info, err := Describe()
	if err != nil {
		t.Fatal(err)
	}
	if want := runtime.GOMAXPROCS(0); info.Threads != want {
		t.Errorf("a loop runs on %d threads, want %d", info.Threads, want)
	}
}

// Freed tensors must leave their pages to the next ones, also those that the C
// library would map each for itself, and also off the main thread.
func TestFreedPagesStay(t *testing.T) {
	resident := func() (mib int) {
		text, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Skip(err)
		}
		var total, pages int
		if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
			t.Fatal(err)
		}
		return pages * os.Getpagesize() >> 20
	}
	thread := NewThread()
	defer thread.Close()
	const size = 256 // MiB
	var with, without int
	if err := thread.Do(func() error {
		s := NewScope(CPU)
		s.Full(1, size<<20/4)
		with = resident()
		s.Close()
		without = resident()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if without < with-size/2 {
		t.Errorf("%d MiB resident with a tensor of %d MiB, %d after it", with, size, without)
	}
}

// Gradients of resampling, which devices take as products with the filter's matrices, equal libtorch's, enlarging
// and reducing. Float64 goes the way of devices.
func TestResizeGradients(t *testing.T) {
	root := scope(t)
	for filter := Nearest; filter <= BicubicAntialias; filter++ {
		for _, size := range [][2]int{{12, 10}, {3, 4}, {6, 16}} {
			for _, align := range []bool{false, filter == Bilinear || filter == Bicubic} {
				s := root.WithGrad()
				x := s.ChannelsLast(normal(s, 1, 2, 3, 6, 7))
				wide := s.To(x, Float64)
				dy := normal(s, 2, 2, 3, size[0], size[1])
				x.RequireGrad(true)
				wide.RequireGrad(true)
				got := s.VJP(s.resize(x, size[0], size[1], filter, align), dy, []*Tensor{x})[0]
				want := s.VJP(s.resize(wide, size[0], size[1], filter, align), s.To(dy, Float64), []*Tensor{wide})[0]
				if off := distance(got, want); off > 1e-6 {
					t.Errorf("filter %d to %v, aligned %v: off by %g", filter, size, align, off)
				}
				s.Close()
			}
		}
	}
}

// Operators with kernels of their own answer the same on threads that have computed nothing before.
func TestNewThreadsCompute(t *testing.T) {
	root := scope(t)
	x, w := normal(root, 1, 4, 32, 8, 8), normal(root, 2, 32)
	norm := func() []float32 {
		s := root.Child()
		defer s.Close()
		return s.GroupNorm(s.ChannelsLast(x), w, w, 8, 1e-5, GroupNormOptions{SiLU: true}).Float32s()
	}
	want := norm()
	for range 4 {
		thread := NewThread()
		if err := thread.Do(func() error {
			if got := norm(); !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got[:4], want[:4])
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		thread.Close()
	}
}

func TestThreadReturnsErrors(t *testing.T) {
	s := scope(t)
	th := NewThread()
	defer th.Close()
	err := th.Do(func() error {
		s.MatMul(s.Zeros(2, 3), s.Zeros(4, 5))
		return nil
	})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("a panicking operator returned %v", err)
	}
	if err := th.Do(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestThreadPassesPanicsOn(t *testing.T) {
	th := NewThread()
	defer th.Close()
	func() {
		defer func() {
			if fault := recover(); fault != "out of range" {
				t.Errorf("the caller recovers %v", fault)
			}
		}()
		_ = th.Do(func() error { panic("out of range") })
	}()
	if err := th.Do(func() error { return nil }); err != nil {
		t.Error("after a panic:", err)
	}
}
