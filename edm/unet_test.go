package edm

import (
	"math"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// cifar is EDM's CIFAR-10 teacher, DDPM++ with augmentation labels.
func cifar() Config {
	return Config{
		Architecture: SongUNet, Resolution: 32, Channels: 3, AugmentDim: 9, ModelChannels: 128,
		ChannelMult: []int{2, 2, 2}, EmbedMult: 4, Blocks: 4, Attention: []int{16}, NoiseMult: 1, ResampleFilter: []float64{1, 1},
	}
}

func TestParameterCount(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	params := nn.NewParams(s, 0)
	if _, err := New(params.Root(), cifar()); err != nil {
		t.Fatal(err)
	}
	if n := params.Count(); n != 55733891 {
		t.Errorf("%d parameters, the published network has 55.7 million", n)
	}
}

func TestWrongConfigIsOneSentence(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	for want, change := range map[string]func(c *Config){
		"architecture":    func(c *Config) { c.Architecture = "UNet" },
		"halved":          func(c *Config) { c.Resolution = 34 },
		"channel_mult":    func(c *Config) { c.ChannelMult = nil },
		"negative":        func(c *Config) { c.LabelDim = -1 },
		"resample_filter": func(c *Config) { c.ResampleFilter = []float64{1} },
		"noise_mult":      func(c *Config) { c.NoiseMult = 0 },
		"resolution is":   func(c *Config) { c.Resolution = 1 << 62 },
		"one is larger":   func(c *Config) { c.LabelDim = 1 << 40 },
		"widths at most":  func(c *Config) { c.ChannelMult = []int{1 << 60} },
		"3 heads":         func(c *Config) { c.HeadChannels = 75 },
		"equal groups":    func(c *Config) { c.ModelChannels = 132 },
	} {
		c := cifar()
		change(&c)
		_, err := New(nn.NewParams(s, 0).Root(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("want an error about %s, got %v", want, err)
		}
	}
}

// Labels that the network has no place for, and classes it does not know, are errors.
func TestWrongLabels(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	c := cifar()
	c.Resolution, c.ModelChannels, c.AugmentDim, c.Blocks, c.Attention = 8, 8, 0, 1, nil
	plain, err := New(nn.NewParams(s, 0).Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.LabelDim = 3
	classes, err := New(nn.NewParams(s, 0).Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	for name, forward := range map[string]func(x *torch.Tensor){
		"class":        func(x *torch.Tensor) { Network{UNet: plain}.Forward(s, x, []float32{1}, []int64{0}) },
		"augmentation": func(x *torch.Tensor) { Network{UNet: plain, Augment: s.Zeros(1, 9)}.Forward(s, x, []float32{1}, nil) },
		"class 3 of 3": func(x *torch.Tensor) { Network{UNet: classes}.Forward(s, x, []float32{1}, []int64{3}) },
	} {
		err := func() (err error) {
			defer torch.Recover(&err)
			forward(s.Zeros(1, 3, 8, 8))
			return nil
		}()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error about %s, got %v", name, err)
		}
	}
}

// In half precision the networks stay close to their float32 selves, and answer
// in float32: in bfloat16 everywhere, in float16 where there is CUDA.
func TestHalfPrecision(t *testing.T) {
	info, err := torch.Describe()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("cpu bfloat16", func(t *testing.T) { halfPrecision(t, torch.CPU, torch.BFloat16) })
	if info.CUDA > 0 {
		t.Run("cuda bfloat16", func(t *testing.T) { halfPrecision(t, 0, torch.BFloat16) })
		t.Run("cuda float16", func(t *testing.T) { halfPrecision(t, 0, torch.Float16) })
	}
}

func halfPrecision(t *testing.T, device torch.Device, dtype torch.DType) {
	small := cifar()
	small.Resolution, small.ModelChannels, small.Blocks, small.Attention = 16, 32, 1, []int{8}
	ncsn, adm := small, small
	ncsn.Fourier, ncsn.ResidualEncoder, ncsn.ResampleFilter = true, true, []float64{1, 3, 3, 1}
	adm.Architecture, adm.HeadChannels = DhariwalUNet, 32
	for _, c := range []Config{small, ncsn, adm} {
		root := torch.NewScope(device)
		defer root.Close()
		params := nn.NewParams(root, 1)
		u, err := New(params.Root(), c)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range params.Tensors() { // residual ends and head start at zero
			if p.RequiresGrad() && len(p.Shape()) == 4 {
				p.Copy(root.Scale(noise(root, uint64(i), p.Shape()...), 0.1))
			}
		}
		params.Freeze()
		x, start := noise(root, 99, 2, 3, 16, 16), torch.LiveTensors()
		forward := func(dtype torch.DType) *torch.Tensor {
			s := root.WithCompute(dtype)
			return Network{UNet: u}.Forward(s, x, []float32{0.3, 20}, nil)
		}
		full, half := forward(torch.Float32), forward(dtype)
		if n := torch.LiveTensors() - start; n != 2 {
			t.Errorf("%s: %d tensors outlive two evaluations", c.Architecture, n)
		}
		off := torch.Norm([]*torch.Tensor{root.Sub(full, half)}) / torch.Norm([]*torch.Tensor{full})
		if half.DType() != torch.Float32 || off > 3e-2 || off == 0 {
			t.Errorf("%s: %v, off by %g", c.Architecture, half.DType(), off)
		}
	}
}

func noise(s *torch.Scope, seed uint64, shape ...int) *torch.Tensor {
	return nn.NewParams(s, seed).Root().NormalBuffer("noise", 1, shape...)
}

// A network that computes its activations again, dropout and all, has the gradients of one that keeps them.
func TestRecompute(t *testing.T) {
	c := cifar()
	c.Resolution, c.ModelChannels, c.Blocks, c.Attention, c.Dropout = 16, 32, 1, []int{8}, 0.2
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	params := nn.NewParams(root, 1)
	u, err := New(params.Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range params.Tensors() { // residual ends and head start at zero
		if len(p.Shape()) == 4 {
			p.Copy(root.Scale(noise(root, uint64(i), p.Shape()...), 0.1))
		}
	}
	x := noise(root, 99, 2, 3, 16, 16)
	run := func(recompute bool, seed uint64) (loss float64, grads [][]float32) {
		g := root.WithGrad()
		defer g.Close()
		s := g.WithDropout(seed)
		defer s.Close()
		u.Recompute = recompute
		y := s.Mean(s.Square(Network{UNet: u}.Forward(s, x, []float32{0.3, 20}, nil)))
		for _, g := range s.Grad(y, params.Trainable()) {
			grads = append(grads, g.Float32s())
		}
		return y.Item(), grads
	}
	plain, want := run(false, 5)
	again, got := run(true, 5)
	if plain != again {
		t.Errorf("the loss is %g, not %g", again, plain)
	}
	for i := range want { // sums of many paths may come in another order
		largest := 0.
		for _, v := range want[i] {
			largest = max(largest, math.Abs(float64(v)))
		}
		for j := range want[i] {
			if math.Abs(float64(want[i][j]-got[i][j])) > 1e-5*largest {
				t.Fatalf("gradient %d: %g, not %g", i, got[i][j], want[i][j])
			}
		}
	}
	if other, _ := run(false, 6); other == plain {
		t.Error("dropout does not depend on its seed")
	}
}
