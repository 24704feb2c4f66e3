package diffusion_test

import (
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

func TestGoldenPrecond(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		for _, c := range []struct {
			name string
			f    func(float64) float64
		}{
			{"out.c_in", diffusion.CIn}, {"out.c_skip", diffusion.CSkip}, {"out.c_out", diffusion.COut},
			{"out.weight.karras_weight", diffusion.Weight},
			{"out.rescaled_t", func(v float64) float64 { return float64(unet.NoiseArgument(float32(v))) }},
		} {
			var got []float64
			for _, v := range f.Floats("in.sigma") {
				got = append(got, c.f(float64(v)))
			}
			f.CompareFloats(c.name, got, 1e-5, 0)
		}
		for _, n := range []int{18, 40} {
			name := map[int]string{18: "out.get_sigmas_karras_18", 40: "out.get_sigmas_karras_40"}[n]
			f.CompareFloats(name, diffusion.Sampling(n), 1e-5, 0)
		}
		var arguments []float32
		var exact []float64
		for _, v := range f.Floats("in.temb_sigma") {
			a := unet.NoiseArgument(v)
			arguments, exact = append(arguments, a), append(exact, float64(a))
		}
		f.CompareFloats("out.temb_arg", exact, 1e-6, 0)
		for dim, name := range map[int]string{32: "out.timestep_embedding_32", 192: "out.timestep_embedding_192"} {
			var got []float64
			for _, v := range unet.TimestepEmbedding(arguments, dim) {
				got = append(got, float64(v))
			}
			f.CompareFloats(name, got, 0, 5e-3)
		}
	}, "diffusion_precond")
}

// network builds the U-Net of the file that params_from names.
func network(t *testing.T, f *golden.File) (*unet.UNet, *nn.Params) {
	t.Helper()
	from := f.Params()
	c := unet.Config{
		InputSize: from.Int("cfg.input_size"), Channels: from.Int("cfg.in_channels"), Groups: 32,
		ModelChannels: from.Int("cfg.model_channels"), ResBlocks: from.Int("cfg.num_res_blocks"),
		EncoderMult: from.Numbers("cfg.encoder_channel_mult"), DecoderMult: from.Numbers("cfg.decoder_channel_mult"),
		Heads: from.Int("cfg.num_heads"), HeadChannels: max(0, from.Int("cfg.num_head_channels")),
		HeadOrder: unet.HeadOrder(from.Text("cfg.attention_type")), Classes: from.Int("cfg.num_classes"),
		FiLM: from.Int("cfg.use_scale_shift_norm") == 1, ResBlockScale: from.Int("cfg.resblock_updown") == 1,
	}
	for _, a := range from.Numbers("cfg.attention_resolutions") {
		c.Attention = append(c.Attention, int(a))
	}
	params := nn.NewParams(f.Scope, 0)
	u, err := unet.New(params.Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	from.Load(params, "param.")
	return u, params
}

func TestGoldenLoss(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, params := network(t, f)
		s := f.Scope.WithGrad()
		defer s.Close()
		labels := f.Ints("in.y")
		d := diffusion.Denoise(u, labels)
		x, noise, sigma := f.Tensor("in.x0"), f.Tensor("in.noise"), f.Floats("in.sigma")
		f.Compare("out.denoised", d(s, f.Tensor("out.x_t"), sigma), 2e-4, 0)
		loss := diffusion.Loss(s, d, x, noise, sigma)
		f.Compare("out.loss_per_sample", loss, 2e-4, 0)
		grads := s.Grad(s.Mean(loss), params.Trainable())
		f.CompareFloats("out.grad_norm_total", []float64{torch.Norm(grads)}, 2e-3, 0)
		f.CompareGradients("", ".param.", params.Names(), grads, 2e-3)

		z := f.Tensor("in.z")
		f.Compare("out.get_T_to_0", diffusion.Generate(s, u, z, labels), 2e-4, 0)
		encoded := u.Forward(s, s.Scale(x, diffusion.CIn(0)), make([]float32, x.Dim(0)), labels)
		f.Compare("out.encoder_at_T0", encoded, 2e-3, 0)
	}, "diffusion_loss")
}

func TestGoldenODE(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, _ := network(t, f)
		d := diffusion.Denoise(u, f.Ints("in.y"))
		clipped := func(s *torch.Scope, x *torch.Tensor, sigma []float32) *torch.Tensor {
			return s.Clamp(d(s, x, sigma), -1, 1)
		}
		n, s := f.Int("n_steps"), f.Scope
		solve := func(d diffusion.Denoiser, x *torch.Tensor, path []float64) *torch.Tensor {
			y, err := diffusion.Heun(s, d, x, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			return y
		}
		noise, data := f.Tensor("in.x_T"), f.Tensor("in.data")
		up, down := diffusion.Inversion(n, f.Number("sigma_min")), diffusion.Sampling(n)
		f.Compare("out.forward", solve(d, noise, down), 2e-3, 0)
		f.Compare("out.forward.clip_denoised", solve(clipped, noise, down), 2e-3, 0)
		inverted := solve(d, data, up)
		f.Compare("out.reverse", inverted, 2e-3, 0)
		f.Compare("out.reverse.clip_denoised", solve(clipped, data, up), 2e-3, 0)
		f.Compare("out.roundtrip", solve(d, inverted, down), 2e-3, 0)
	}, "diffusion_ode")
}
