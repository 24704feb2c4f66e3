package edm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// reference are constructor arguments of the reference.
type reference struct {
	ModelType  string    `json:"model_type"`
	Resolution int       `json:"img_resolution"`
	Channels   int       `json:"img_channels"`
	LabelDim   int       `json:"label_dim"`
	AugmentDim int       `json:"augment_dim"`
	SigmaData  float64   `json:"sigma_data"`
	Width      int       `json:"model_channels"`
	Mult       []int     `json:"channel_mult"`
	EmbedMult  int       `json:"channel_mult_emb"`
	Blocks     int       `json:"num_blocks"`
	Attention  []int     `json:"attn_resolutions"`
	Embedding  string    `json:"embedding_type"`
	NoiseMult  int       `json:"channel_mult_noise"`
	Encoder    string    `json:"encoder_type"`
	Decoder    string    `json:"decoder_type"`
	Filter     []float64 `json:"resample_filter"`
}

// network builds the preconditioned network of a file.
func network(t *testing.T, f *golden.File) (*UNet, *nn.Params, diffusion.Preconditioning) {
	t.Helper()
	r := settings(t, f)
	c := Config{
		Architecture: Architecture(r.ModelType), Resolution: r.Resolution, Channels: r.Channels,
		LabelDim: r.LabelDim, AugmentDim: r.AugmentDim, ModelChannels: r.Width, ChannelMult: r.Mult,
		EmbedMult: r.EmbedMult, Blocks: r.Blocks, Attention: r.Attention,
		Fourier: r.Embedding == "fourier", NoiseMult: r.NoiseMult,
		ResidualEncoder: r.Encoder == "residual", ResampleFilter: r.Filter,
	}
	if c.Architecture == DhariwalUNet {
		c.HeadChannels = int(f.NumberOr("cfg.channels_per_head", 64))
	}
	params := nn.NewParams(f.Scope, 0)
	u, err := New(params.Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	f.Load(params, "param.model.")
	return u, params, diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: r.SigmaData}
}

// settings are the constructor arguments of a file, the reference's defaults
// where it leaves them out. A network that the package does not have fails the test.
func settings(t *testing.T, f *golden.File) reference {
	t.Helper()
	r := reference{ModelType: "DhariwalUNet"}
	f.Decode("config", &r)
	switch r.ModelType {
	case "SongUNet":
		r = reference{
			ModelType: r.ModelType, SigmaData: 0.5, Width: 128, Mult: []int{1, 2, 2, 2}, EmbedMult: 4, Blocks: 4, Attention: []int{16},
			Embedding: "positional", NoiseMult: 1, Encoder: "standard", Decoder: "standard", Filter: []float64{1, 1},
		}
	case "DhariwalUNet":
		r = reference{
			ModelType: r.ModelType, SigmaData: 0.5, Width: 192, Mult: []int{1, 2, 3, 4}, EmbedMult: 4, Blocks: 3, Attention: []int{32, 16, 8},
			Embedding: "positional", Encoder: "standard", Decoder: "standard",
		}
	default:
		t.Fatalf("model_type is %q", r.ModelType)
	}
	f.Decode("config", &r)
	supports := func(argument, value string, known ...string) {
		if !slices.Contains(known, value) {
			t.Fatalf("%s is %q: the package has %v", argument, value, known)
		}
	}
	supports("embedding_type", r.Embedding, "positional", "fourier")
	supports("encoder_type", r.Encoder, "standard", "residual")
	supports("decoder_type", r.Decoder, "standard")
	return r
}

// isOneHot tells whether every row of class labels (N,classes) stands for one class.
func isOneHot(labels *torch.Tensor) bool {
	classes := labels.Dim(1)
	for row := range slices.Chunk(labels.Float64s(), classes) {
		sum := 0.
		for _, v := range row {
			sum += v
		}
		if sum != 1 || slices.Max(row) != 1 {
			return false
		}
	}
	return true
}

// labelled is a network under labels given as vectors.
type labelled struct {
	net            *UNet
	class, augment *torch.Tensor
}

func (l labelled) Forward(s *torch.Scope, x *torch.Tensor, sigma []float32, _ []int64) *torch.Tensor {
	return l.net.Forward(s, x, arguments(NoiseArgument, sigma), l.class, l.augment)
}

func TestGoldenNetworks(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, params, edm := network(t, f)
		s := f.Scope.WithGrad()
		defer s.Close()
		x, sigma := f.Tensor("in.x"), f.Floats("in.sigma")
		x.RequireGrad(true)
		var class, augment *torch.Tensor
		if f.Has("in.class_labels") {
			class = f.Tensor("in.class_labels")
		}
		if f.Has("in.augment_labels") {
			augment = f.Tensor("in.augment_labels")
		}

		var noise []float64
		for _, v := range arguments(NoiseArgument, sigma) {
			noise = append(noise, float64(v))
		}
		f.CompareFloats("mid.c_noise", noise, 1e-5, 0)
		cos, sin := u.mapping.waves(s, arguments(NoiseArgument, sigma))
		f.Compare("mid.map_noise", s.Cat(1, cos, sin), 1e-4, 0)

		d := edm.Denoise(labelled{u, class, augment}, nil)(s, x, sigma)
		f.Compare("out.D", d, 1e-4, 0)
		grads := s.VJP(d, f.Tensor("in.cotangent"), append(params.Trainable(), x))
		last := len(grads) - 1
		f.Compare("grad.in.x", grads[last], 1e-3, 0)
		f.CompareGradients("", ".param.model.", trainable(params), grads[:last], 1e-3)

		n := f.Scope
		if f.Has("out.F") {
			var scaled []*torch.Tensor
			for i, v := range sigma {
				scaled = append(scaled, n.Scale(n.Narrow(x, 0, i, 1), edm.CIn(float64(v))))
			}
			f.Compare("out.F", u.Forward(n, n.Cat(0, scaled...), arguments(NoiseArgument, sigma), class, augment), 1e-4, 0)
		}
		if class != nil && isOneHot(class) {
			f.Compare("out.D", edm.Denoise(Network{UNet: u, Augment: augment}, n.ArgMax(class, 1).Int64s())(n, x, sigma), 1e-4, 0)
		}
		if f.Has("out.D_no_augment") {
			f.Compare("out.D_no_augment", edm.Denoise(labelled{u, class, nil}, nil)(n, x, sigma), 1e-4, 0)
		}
		if f.Has("out.D_no_label") {
			f.Compare("out.D_no_label", edm.Denoise(labelled{u, nil, nil}, nil)(n, x, sigma), 1e-4, 0)
		}
	}, "edm_ddpmpp", "edm_ncsnpp", "edm_dhariwal")
}

// trainable are the names of the parameters that have gradients.
func trainable(p *nn.Params) []string {
	return slices.DeleteFunc(slices.Clone(p.Names()), func(name string) bool { return !p.Tensor(name).RequiresGrad() })
}

func TestGoldenBlocks(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		blocks := 0
		for _, name := range f.Names() {
			if block, ok := strings.CutSuffix(name, ".in.x"); ok && !strings.HasSuffix(block, ".grad") {
				testBlock(f, block+".")
				blocks++
			}
		}
		if blocks == 0 {
			t.Error("no *.in.x in the file")
		}
	}, "edm_blocks")
}

func testBlock(f *golden.File, prefix string) {
	r := struct {
		In           int       `json:"in_channels"`
		Out          int       `json:"out_channels"`
		Kernel       int       `json:"kernel"`
		Embed        int       `json:"emb_channels"`
		Up           bool      `json:"up"`
		Down         bool      `json:"down"`
		Filter       []float64 `json:"resample_filter"`
		Fused        bool      `json:"fused_resample"`
		Attention    bool      `json:"attention"`
		Heads        *int      `json:"num_heads"`
		HeadChannels int       `json:"channels_per_head"`
		SkipScale    float64   `json:"skip_scale"`
		Eps          float64   `json:"eps"`
		Project      bool      `json:"resample_proj"`
		FiLM         bool      `json:"adaptive_scale"`
	}{Filter: []float64{1, 1}, HeadChannels: 64, SkipScale: 1, Eps: 1e-5, FiLM: true}
	f.Decode(prefix+"config", &r)
	o := blockOptions{embed: r.Embed, project: r.Project, film: r.FiLM, skipScale: r.SkipScale, eps: r.Eps}
	o.filter, o.fused = r.Filter, r.Fused
	switch {
	case r.Up:
		o.resampling = up
	case r.Down:
		o.resampling = down
	}
	switch {
	case r.Attention && r.Heads != nil:
		o.heads = *r.Heads
	case r.Attention:
		o.heads = r.Out / r.HeadChannels
	}

	params := nn.NewParams(f.Scope, 0)
	s := f.Scope.WithGrad()
	defer s.Close()
	x := f.Tensor(prefix + "in.x")
	x.RequireGrad(true)
	leaves := []*torch.Tensor{x}
	var y *torch.Tensor
	if r.Embed > 0 {
		b := newUNetBlock(params.Root(), r.In, r.Out, o)
		f.Load(params, prefix+"param.")
		emb := f.Tensor(prefix + "in.emb")
		emb.RequireGrad(true)
		leaves = append(leaves, emb)
		y = b.forward(s, false, emb, x)
	} else {
		c := newConv2d(params.Root(), r.In, r.Out, r.Kernel, o.convOptions)
		f.Load(params, prefix+"param.")
		y = c.forward(s, x)
	}
	f.Compare(prefix+"out.y", y, 1e-4, 0)
	grads := s.VJP(y, f.Tensor(prefix+"in.cotangent"), append(leaves, params.Trainable()...))
	f.Compare(prefix+"grad.in.x", grads[0], 1e-4, 0)
	if r.Embed > 0 {
		f.Compare(prefix+"grad.in.emb", grads[1], 1e-4, 0)
		f.CompareGradients(prefix, ".param.", trainable(params), grads[2:], 1e-4)
	}
}

func TestGoldenSampler(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, _, edm := network(t, f.Params())
		s := f.Scope
		var class *torch.Tensor
		if f.Has("in.class_labels") {
			class = f.Tensor("in.class_labels")
		}
		var sigmas []float64
		d := edm.Denoise(labelled{net: u, class: class}, nil)
		traced := func(s *torch.Scope, x *torch.Tensor, sigma []float32) *torch.Tensor {
			if at := fmt.Sprint("out.x_at_eval_", len(sigmas)); f.Has(at) {
				f.Compare(at, x, 1e-3, 0)
			}
			sigmas = append(sigmas, float64(sigma[0]))
			return d(s, x, sigma)
		}
		sample := func(d diffusion.Denoiser, n int, churn diffusion.Churn) *torch.Tensor {
			low, high, rho := f.Number("sigma_min"), f.Number("sigma_max"), f.Number("rho")
			path := make([]float64, n+1) // ends at 0
			for i := range n {
				path[i] = diffusion.Level(float64(i)/float64(max(n-1, 1)), low, high, rho)
			}
			x, err := diffusion.Solver{Process: diffusion.VE{}, Churn: churn}.Solve(s, d, s.Scale(f.Tensor("in.latents"), high), path)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		images := sample(traced, f.Int("num_steps"), diffusion.Churn{})
		f.CompareFloats("out.t_evaluated", sigmas, 1e-5, 0)
		f.Compare("out.images", images, 1e-3, 0)
		bytes := s.To(s.Clamp(s.Affine(images, 127.5, 128), 0, 255), torch.Uint8)
		f.Compare("out.images_u8_nhwc", s.Permute(bytes, 0, 2, 3, 1), 0, 1)

		noises := f.Tensor("churn.in.noises")
		f.Compare("churn.out.images", sample(d, f.Int("churn.num_steps"), diffusion.Churn{
			Amount: f.Number("churn.S_churn"), Noise: f.NumberOr("churn.S_noise", 1),
			Low: f.NumberOr("churn.S_min", 0), High: f.NumberOr("churn.S_max", 0),
			Normal: func(s *torch.Scope, i int) *torch.Tensor {
				return s.Reshape(s.Narrow(noises, 0, i, 1), images.Shape()...)
			},
		}), 1e-3, 0)
	}, "edm_sampler_")
}
