// Package unet has the ADM U-Net and the decoder that PaGoDA grows on top of
// it. Structure and parameter names are those of UNetModel in guided-diffusion
// and in sony/pagoda cm/unet.py.
package unet

import (
	"cmp"
	"slices"
)

// HeadOrder says how the channels of an attention block's qkv are laid out.
type HeadOrder string

// Legacy splits heads first, each into q, k and v; Flash splits q, k and v
// first, each into heads. Weights fit one of them.
const (
	Legacy HeadOrder = "legacy"
	Flash  HeadOrder = "flash"
)

// Config is the architecture of a network. DecoderMult longer than EncoderMult
// makes a grown decoder: each further entry doubles the output's resolution.
type Config struct {
	InputSize         int       `json:"input_size"`             // resolution of the latent
	Channels          int       `json:"channels"`               // image channels
	OutChannels       int       `json:"out_channels,omitempty"` // of the output; zero: Channels. Twice as many where variances are learned
	ModelChannels     int       `json:"model_channels"`         // width unit of the base
	Stem              int       `json:"stem,omitempty"`         // width of the first convolution; zero: ModelChannels. guided-diffusion has that of the finest level
	EncoderMult       []float64 `json:"encoder_mult"`           // widths of the levels, finest first
	DecoderMult       []float64 `json:"decoder_mult"`           // likewise, output resolution first
	ResBlocks         int       `json:"res_blocks"`             // residual blocks a level (the decoder has one more)
	Attention         []int     `json:"attention"`              // downsampling factors with attention
	Heads             int       `json:"heads"`                  // attention heads, when HeadChannels is zero
	HeadsUp           int       `json:"heads_up,omitempty"`     // likewise in the decoder (num_heads_upsample); zero: Heads
	HeadChannels      int       `json:"head_channels"`          // channels a head
	HeadOrder         HeadOrder `json:"head_order"`
	Classes           int       `json:"classes"`                 // zero: unconditional
	FiLM              bool      `json:"film"`                    // embedding scales and shifts (use_scale_shift_norm); else it is added
	ResBlockScale     bool      `json:"resblock_scale"`          // residual blocks change the resolution (resblock_updown); else plain convolutions
	BareResample      bool      `json:"bare_resample,omitempty"` // where plain, without a convolution (conv_resample False)
	Groups            int       `json:"groups"`                  // groups of the normalisation; 32 in ADM
	ModelChannelsHigh int       `json:"model_channels_high"`     // width unit of the grown levels
	ResBlocksHigh     int       `json:"res_blocks_high"`         // residual blocks of a grown level besides the upsampling one
	FiLMHigh          bool      `json:"film_high"`
	Dropout           float64   `json:"dropout,omitempty"` // share dropped in residual blocks while training
}

// Grown is the number of levels above the base resolution.
func (c Config) Grown() int { return len(c.DecoderMult) - len(c.EncoderMult) }

// OutputSize is the resolution of the network's output.
func (c Config) OutputSize() int { return c.InputSize << c.Grown() }

// EmbedChannels is the width of the embedding of noise level and class.
func (c Config) EmbedChannels() int { return 4 * c.ModelChannels }

// Outputs is the number of channels of the output.
func (c Config) Outputs() int { return cmp.Or(c.OutChannels, c.Channels) }

// stem is the width of the first convolution.
func (c Config) stem() int { return cmp.Or(c.Stem, c.ModelChannels) }

// bare tells whether levels are joined without parameters.
func (c Config) bare() bool { return c.BareResample && !c.ResBlockScale }

// heads is the number of attention heads of a block, of the decoder or of the rest.
func (c Config) heads(channels int, decoder bool) int {
	switch {
	case c.HeadChannels > 0:
		return channels / c.HeadChannels
	case decoder:
		return cmp.Or(c.HeadsUp, c.Heads)
	}
	return c.Heads
}

func (c Config) attends(factor int) bool { return slices.Contains(c.Attention, factor) }
