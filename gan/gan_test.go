package gan

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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

func TestDrawsStayInRange(t *testing.T) {
	a := DiffAugment{Color: true, Translation: true, Cutout: true}
	d := a.Draw(rand.New(rand.NewPCG(1, 1)), 4000, 16, 20)
	check := func(name string, low, high, wantLow, wantHigh float64) {
		if math.Abs(low-wantLow) > 0.02 || math.Abs(high-wantHigh) > 0.02 {
			t.Errorf("%s in [%g,%g], want [%g,%g]", name, low, high, wantLow, wantHigh)
		}
	}
	floats := func(name string, v []float32, low, high float64) {
		check(name, float64(slices.Min(v)), float64(slices.Max(v)), low, high)
	}
	side := func(name string, v [][2]int, i int, low, high float64) {
		var x []int
		for _, p := range v {
			x = append(x, p[i])
		}
		check(name, float64(slices.Min(x)), float64(slices.Max(x)), low, high)
	}
	floats("brightness", d.Brightness, -0.5, 0.5)
	floats("saturation", d.Saturation, 0, 2)
	floats("contrast", d.Contrast, 0.5, 1.5)
	side("vertical shift", d.Translation, 0, -2, 2)
	side("horizontal shift", d.Translation, 1, -3, 3)
	side("cut-out row", d.Cutout, 0, 0, 15)    // a box of 3
	side("cut-out column", d.Cutout, 1, 0, 20) // a box of 4
}

func TestAugmentFill(t *testing.T) {
	s := newScope(t)
	x := s.Full(0.5, 1, 2, 10, 10)
	y := DiffAugment{Fill: -1}.Apply(s, x, Draws{Translation: [][2]int{{-2, 1}}, Cutout: [][2]int{{5, 5}}}).Float64s()
	for i, v := range y {
		r, c := i%100/10, i%10
		want := 0.5
		if r < 2 || c == 9 || (r >= 4 && r < 6 && c >= 4 && c < 6) {
			want = -1
		}
		if v != want {
			t.Fatalf("row %d, column %d is %g, want %g", r, c, v, want)
		}
	}
	if same := (DiffAugment{}).Apply(s, x, DiffAugment{}.Draw(nil, 1, 10, 10)); same != x {
		t.Error("the zero policy changes images")
	}
}

func TestSpectralNormIsOne(t *testing.T) {
	s := newScope(t)
	w := newSpectral(nn.NewParams(s, 1).Root(), normal(s, 2, 6, 4, 3, 3))
	for range 200 {
		step := s.Child()
		w.weight(step, true)
		step.Close()
	}
	_, values, _ := s.SVD(s.Reshape(w.weight(s, false), 6, -1))
	if top := values.Float64s()[0]; math.Abs(top-1) > 1e-4 {
		t.Errorf("the largest singular value is %g", top)
	}
}

// Every discriminator learns to tell two sets of maps apart, in bfloat16 too, and passes gradients to the maps.
func TestDiscriminatorsLearn(t *testing.T) {
	channels, sizes := []int{4, 6}, []int{16, 8}
	for name, build := range map[string]func(nn.Path) Discriminator{
		"multiscale": func(p nn.Path) Discriminator {
			return NewMultiScaleD(p, channels, sizes, HeadConfig{Width: 8, Classes: 3, EmbedDim: 5, MapDim: 4})
		},
		"projection": func(p nn.Path) Discriminator {
			d := NewProjectionD(p, channels, sizes, 8, 3)
			d.Gain = 4
			return d
		},
	} {
		for _, loss := range []Loss{Hinge, LogD} {
			t.Run(name+"/"+string(loss), func(t *testing.T) {
				root := newScope(t)
				params := nn.NewParams(root, 1)
				d := build(params.Root())
				labels := []int64{0, 1, 2, 0}
				var fake, real []*torch.Tensor
				for i := range channels {
					fake = append(fake, normal(root, uint64(2+i), 4, channels[i], sizes[i], sizes[i]))
					real = append(real, root.Affine(normal(root, uint64(9+i), 4, channels[i], sizes[i], sizes[i]), 1, 0.5))
				}
				opt := optim.New(root, params.Trainable(), optim.Options{Kind: optim.Adam, Beta2: 0.99})
				var first, last float64
				for i := range 15 {
					s := root.WithGrad().WithCompute(torch.BFloat16)
					f, r := d.Logits(s, fake, labels, true), d.Logits(s, real, labels, true)
					l := loss.Discriminator(s, []*torch.Tensor{f}, []*torch.Tensor{r})
					if last = l.Item(); i == 0 {
						first = last
					}
					opt.Step(s.Grad(l, params.Trainable()), 1e-2)
					s.Close()
				}
				if !(last < 0.7*first) {
					t.Errorf("loss went from %g to %g", first, last)
				}
				params.Freeze()
				for _, x := range fake {
					x.RequireGrad(true)
				}
				s := root.WithGrad()
				g := s.Grad(loss.Generator(s, []*torch.Tensor{d.Logits(s, fake, labels, true)}), fake)
				if n := torch.Norm(g); !(n > 0) || math.IsInf(n, 0) {
					t.Errorf("gradient norm %g at the maps", n)
				}
				s.Close()
			})
		}
	}
}

func TestMissingMapIsAnError(t *testing.T) {
	s := newScope(t)
	d := NewProjectionD(nn.NewParams(s, 1).Root(), []int{2, 2}, []int{8, 4}, 4, 2)
	err := func() (err error) {
		defer torch.Recover(&err)
		d.Logits(s, []*torch.Tensor{s.Zeros(1, 2, 8, 8)}, []int64{0}, false)
		return nil
	}()
	if err == nil || !strings.Contains(err.Error(), "1 feature maps for 2 heads") {
		t.Error(err)
	}
}

func TestLogD(t *testing.T) {
	s := newScope(t)
	fake, real := []*torch.Tensor{s.Full(0.3, 2, 4)}, []*torch.Tensor{s.Full(-0.7, 2, 4)}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, c := range []struct{ got, want float64 }{
		{LogD.Discriminator(s, fake, real).Item(), -math.Log(sigmoid(-0.7)) - math.Log(1-sigmoid(0.3))},
		{LogD.Generator(s, fake).Item(), -math.Log(sigmoid(0.3))},
	} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%g, want %g", c.got, c.want)
		}
	}
}
