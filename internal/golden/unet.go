package golden

import (
	"strings"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// settled are constructor arguments that this program has in one value alone, as
// Python prints it.
var settled = map[string]string{
	"cfg.dims":     "2",
	"cfg.use_fp16": "False",
	"cfg.new":      "False", // an upsampled image at the encoder's entrance
}

// UNet builds the network of a file of the reference's UNetModel: its
// constructor arguments are cfg.*, its weights param.*, or those of params_from.
// Without a part in its arithmetic are use_new_attention_order, no_grad,
// output_size, outside training dropout, and training_mode, with which the layers
// emb_layers_s come and stay unused.
func (f *File) UNet() (*unet.UNet, *nn.Params) {
	f.t.Helper()
	for key, value := range settled {
		if text := f.Text(key); text != "" && text != value {
			f.t.Fatalf("metadata %s is %q: the networks here have %q alone", key, text, value)
		}
	}
	if mode := f.Text("mode"); mode != "" && !strings.HasPrefix(mode, "eval") {
		f.t.Fatalf("metadata mode is %q: only eval is reproducible", mode)
	}
	c := unet.Config{
		InputSize: f.Int("cfg.input_size"), Channels: f.Int("cfg.in_channels"), OutChannels: f.Int("cfg.out_channels"),
		ModelChannels: f.Int("cfg.model_channels"), ModelChannelsHigh: f.Int("cfg.model_channels_high"),
		EncoderMult: f.Numbers("cfg.encoder_channel_mult"), DecoderMult: f.Numbers("cfg.decoder_channel_mult"),
		ResBlocks: f.Int("cfg.num_res_blocks"), ResBlocksHigh: max(0, f.Int("cfg.num_res_blocks_high")),
		Heads: max(1, f.Int("cfg.num_heads")), HeadsUp: max(0, f.Int("cfg.num_heads_upsample")), HeadChannels: max(0, f.Int("cfg.num_head_channels")),
		HeadOrder: unet.Legacy, Classes: f.Int("cfg.num_classes"),
		FiLM: f.Int("cfg.use_scale_shift_norm") != 0, FiLMHigh: f.Int("cfg.use_scale_shift_norm_high") != 0,
		ResBlockScale: f.Int("cfg.resblock_updown") != 0, BareResample: f.Text("cfg.conv_resample") == "False", Groups: 32,
	}
	switch f.Text("cfg.attention_type") {
	case "flash", "":
		c.HeadOrder = unet.Flash
	case "vanilla_xformers": // a single head, whatever is asked for
		c.HeadOrder, c.Heads, c.HeadsUp, c.HeadChannels = unet.Flash, 1, 0, 0
	}
	for _, a := range f.Numbers("cfg.attention_resolutions") {
		c.Attention = append(c.Attention, int(a))
	}
	params := nn.NewParams(f.Scope, 0)
	u, err := unet.New(params.Root(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	u.Recompute = f.Int("cfg.use_checkpoint") != 0
	f.Params().Load(params, "param.")
	return u, params
}
