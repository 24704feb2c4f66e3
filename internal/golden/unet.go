package golden

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// UNet builds the network of a file of the reference's UNetModel: its
// constructor arguments are cfg.*, its weights param.*, or those of params_from.
func (f *File) UNet() (*unet.UNet, *nn.Params) {
	f.t.Helper()
	c := unet.Config{
		InputSize: f.Int("cfg.input_size"), Channels: f.Int("cfg.in_channels"),
		ModelChannels: f.Int("cfg.model_channels"), ModelChannelsHigh: f.Int("cfg.model_channels_high"),
		EncoderMult: f.Numbers("cfg.encoder_channel_mult"), DecoderMult: f.Numbers("cfg.decoder_channel_mult"),
		ResBlocks: f.Int("cfg.num_res_blocks"), ResBlocksHigh: f.Int("cfg.num_res_blocks_high"),
		Heads: f.Int("cfg.num_heads"), HeadChannels: max(0, f.Int("cfg.num_head_channels")),
		HeadOrder: unet.HeadOrder(f.Text("cfg.attention_type")), Classes: f.Int("cfg.num_classes"),
		FiLM: f.Int("cfg.use_scale_shift_norm") == 1, FiLMHigh: f.Int("cfg.use_scale_shift_norm_high") == 1,
		ResBlockScale: f.Int("cfg.resblock_updown") == 1, Groups: 32,
	}
	for _, a := range f.Numbers("cfg.attention_resolutions") {
		c.Attention = append(c.Attention, int(a))
	}
	params := nn.NewParams(f.Scope, 0)
	u, err := unet.New(params.Root(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Params().Load(params, "param.")
	return u, params
}
