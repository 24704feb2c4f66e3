package features

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// newScope is a root scope that must leave no tensor behind.
func newScope(t *testing.T) *torch.Scope {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	start := torch.LiveTensors()
	s := torch.NewScope(testdevice.Device())
	t.Cleanup(func() {
		s.Close()
		if n := torch.LiveTensors(); n != start {
			t.Errorf("%d tensors live, %d before", n, start)
		}
	})
	return s
}

func normal(s *torch.Scope, seed uint64, shape ...int) *torch.Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	n := 1
	for _, d := range shape {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return s.FromFloat32(values, shape...)
}

// off is the largest difference relative to the largest value of want.
func off(got, want *torch.Tensor) float64 {
	a, b := got.Float64s(), want.Float64s()
	worst, top := 0., 0.
	for i := range b {
		worst, top = math.Max(worst, math.Abs(a[i]-b[i])), math.Max(top, math.Abs(b[i]))
	}
	return worst / top
}

func TestFoldingKeepsTheOutputs(t *testing.T) {
	s := newScope(t)
	half := s.WithCompute(torch.BFloat16)
	defer half.Close()
	c := NewClassifier(nn.NewParams(s, 1).Root(), 2, 4, 5)
	e := NewEvaluator(nn.NewParams(s, 2).Root(), 2, 4, 4, 5)
	x := normal(s, 3, 6, 2, 16, 16)
	c.Logits(s, x, true) // moves the running statistics away from 0 and 1
	e.Logits(s, x, true)
	maps, folded, rough := c.Maps(s, x), c.Fold(s).Maps(s, x), c.Fold(half).Maps(half, x)
	for i, size := range []int{32, 16, 8, 4} {
		if shape := maps[i].Shape(); shape[1] != c.Channels()[i] || shape[2] != size {
			t.Errorf("map %d is %v", i, shape)
		}
		if d := off(folded[i], maps[i]); d > 1e-5 {
			t.Errorf("map %d: folded off by %g", i, d)
		}
		if d := off(rough[i], maps[i]); d > 3e-2 || rough[i].DType() != torch.BFloat16 {
			t.Errorf("map %d: %v off by %g", i, rough[i].DType(), d)
		}
	}
	if d := off(e.Fold(s).Logits(s, x, false), e.Logits(s, x, false)); d > 1e-5 {
		t.Errorf("evaluator: folded off by %g", d)
	}
	if d := off(e.Classify(s, e.Features(s, x)), e.Logits(s, x, false)); d != 0 {
		t.Errorf("features and logits of the evaluator differ by %g", d)
	}
}

func TestEvaluatorTakesAnySize(t *testing.T) {
	s := newScope(t)
	for size, want := range map[int]int{8: 32, 32: 32, 33: 64, 96: 128, 512: 512} {
		if got := EvaluatorResolution(EvaluatorBlocks(size)); got != want {
			t.Errorf("images of %d are judged at %d, want %d", size, got, want)
		}
	}
	e := NewEvaluator(nn.NewParams(s, 1).Root(), 3, 2, EvaluatorBlocks(64), 5)
	for _, size := range []int{16, 64, 128} {
		if shape := e.Logits(s, normal(s, 2, 2, 3, size, size), false).Shape(); shape[0] != 2 || shape[1] != 5 {
			t.Errorf("logits of images of %d pixels: %v", size, shape)
		}
	}
}

func TestClassifiersLearn(t *testing.T) {
	type classifier interface {
		Logits(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor
	}
	for name, build := range map[string]func(nn.Path) classifier{
		"classifier": func(p nn.Path) classifier { return NewClassifier(p, 1, 4, 4) },
		"evaluator": func(p nn.Path) classifier {
			e := NewEvaluator(p, 1, 4, 4, 4)
			e.Dropout = rand.New(rand.NewPCG(1, 1))
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := newScope(t)
			params := nn.NewParams(root, 1)
			c := build(params.Root())
			x, labels := normal(root, 2, 8, 1, 32, 32), []int64{0, 1, 2, 3, 0, 1, 2, 3}
			opt := optim.New(root, params.Trainable(), optim.Options{Kind: optim.Adam})
			var first, last float64
			for i := range 12 {
				s := root.WithGrad().WithCompute(torch.BFloat16)
				loss := CrossEntropy(s, c.Logits(s, x, true), labels, 0)
				if last = loss.Item(); i == 0 {
					first = last
				}
				opt.Step(s.Grad(loss, params.Trainable()), 1e-2)
				s.Close()
			}
			if !(last < first/2) {
				t.Errorf("loss went from %g to %g", first, last)
			}
		})
	}
}

func TestDropoutIsOfTrainingOnly(t *testing.T) {
	s := newScope(t)
	e := NewEvaluator(nn.NewParams(s, 1).Root(), 1, 2, 4, 3)
	e.Dropout = rand.New(rand.NewPCG(1, 1))
	x := normal(s, 2, 4, 1, 32, 32)
	if off(e.Logits(s, x, false), e.Logits(s, x, false)) != 0 {
		t.Error("evaluation is random")
	}
	if off(e.Logits(s, x, true), e.Logits(s, x, true)) == 0 {
		t.Error("training drops nothing")
	}
	kept := 0.
	for _, v := range e.mask(s, []int{100, 128}).Float64s() {
		kept += v / (100 * 128)
	}
	if math.Abs(kept-1) > 0.02 {
		t.Errorf("the mask's mean is %g, want 1", kept)
	}
}

func TestCrossEntropySmoothing(t *testing.T) {
	s := newScope(t)
	p := []float64{0.5, 0.25, 0.25} // probabilities of both rows
	logits := s.FromFloat32([]float32{0, -math.Ln2, -math.Ln2, 0, -math.Ln2, -math.Ln2}, 2, 3)
	want := 0.
	for _, label := range []int{0, 2} {
		for class, q := range p {
			target := 0.1 / 3
			if class == label {
				target += 0.9
			}
			want -= target * math.Log(q) / 2
		}
	}
	if got := CrossEntropy(s, logits, []int64{0, 2}, 0.1).Item(); math.Abs(got-want) > 1e-6 {
		t.Errorf("%g, want %g", got, want)
	}
}

// A feature vector of zeros has no direction: the distance stays finite, and so does its gradient.
func TestDistanceOfZeroVectors(t *testing.T) {
	root := newScope(t)
	s := root.WithGrad()
	defer s.Close()
	values := normal(s, 1, 2, 3, 2, 2).Float32s()
	for _, i := range []int{0, 4, 8} { // pixel 0 of image 0
		values[i] = 0
	}
	x := s.FromFloat32(values, 2, 3, 2, 2)
	x.RequireGrad(true)
	d := Distance(s, []*torch.Tensor{x}, []*torch.Tensor{normal(s, 2, 2, 3, 2, 2)})
	for _, v := range append(d.Float64s(), s.Grad(s.Mean(d), []*torch.Tensor{x})[0].Float64s()...) {
		if math.IsNaN(v) || math.Abs(v) > 10 {
			t.Fatalf("%g", v)
		}
	}
}

// The projection is random by its seed and has nothing to train.
func TestProjectionIsFixed(t *testing.T) {
	s := newScope(t)
	a, b, c := nn.NewParams(s, 1), nn.NewParams(s, 1), nn.NewParams(s, 2)
	for _, p := range []*nn.Params{a, b, c} {
		NewProjection(p.Root(), []int{3, 4, 5, 6}, 4, true)
	}
	if len(a.Trainable()) != 0 {
		t.Error("the projection can be trained")
	}
	name := "layer2_csm.out_conv.weight"
	if off(a.Tensor(name), b.Tensor(name)) != 0 || off(a.Tensor(name), c.Tensor(name)) == 0 {
		t.Error("the projection does not follow its seed")
	}
}
