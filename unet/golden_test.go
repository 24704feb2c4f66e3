package unet

import (
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
)

// configOf translates the constructor arguments of the reference's UNetModel.
func configOf(f *golden.File) Config {
	c := Config{
		InputSize: f.Int("cfg.input_size"), Channels: f.Int("cfg.in_channels"),
		ModelChannels: f.Int("cfg.model_channels"), ModelChannelsHigh: f.Int("cfg.model_channels_high"),
		EncoderMult: f.Numbers("cfg.encoder_channel_mult"), DecoderMult: f.Numbers("cfg.decoder_channel_mult"),
		ResBlocks: f.Int("cfg.num_res_blocks"), ResBlocksHigh: f.Int("cfg.num_res_blocks_high"),
		Heads: f.Int("cfg.num_heads"), HeadChannels: max(0, f.Int("cfg.num_head_channels")),
		HeadOrder: HeadOrder(f.Text("cfg.attention_type")), Classes: f.Int("cfg.num_classes"),
		FiLM: f.Int("cfg.use_scale_shift_norm") == 1, FiLMHigh: f.Int("cfg.use_scale_shift_norm_high") == 1,
		ResBlockScale: f.Int("cfg.resblock_updown") == 1, Groups: 32,
	}
	for _, a := range f.Numbers("cfg.attention_resolutions") {
		c.Attention = append(c.Attention, int(a))
	}
	return c
}

func TestGoldenUNet(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		params := nn.NewParams(f.Scope, 0)
		u, err := New(params.Root(), configOf(f))
		if err != nil {
			t.Fatal(err)
		}
		f.Params().Load(params, "param.")
		s := f.Scope.WithGrad()
		defer s.Close()
		x := f.Tensor("in.x")
		x.RequireGrad(true)
		y := u.Forward(s, x, f.Floats("in.sigma"), f.Ints("in.y"))
		f.Compare("out.y", y, 2e-4, 0)
		if f.Has("mid.timestep_embedding") {
			var arguments []float64
			var args []float32
			for _, v := range f.Floats("in.sigma") {
				args = append(args, NoiseArgument(v))
			}
			for _, v := range TimestepEmbedding(args, u.Config.ModelChannels) {
				arguments = append(arguments, float64(v))
			}
			f.CompareFloats("mid.timestep_embedding", arguments, 2e-4, 0)
		}
		grads := s.VJP(y, f.Tensor("in.cotangent"), append(params.Trainable(), x))
		last := len(grads) - 1
		f.Compare("grad.in.x", grads[last], 1e-3, 0)
		f.CompareGradients("", ".param.", params.Names(), grads[:last], 1e-3)
	}, "unet_")
}
