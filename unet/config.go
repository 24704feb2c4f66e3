// Package unet has the ADM U-Net and the decoder that PaGoDA grows on top of
// it. Structure and parameter names are those of UNetModel in guided-diffusion
// and in sony/pagoda cm/unet.py.
package unet

import "fmt"

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
	InputSize         int       `json:"input_size"`     // resolution of the latent
	Channels          int       `json:"channels"`       // image channels, in and out
	ModelChannels     int       `json:"model_channels"` // width unit of the base
	EncoderMult       []float64 `json:"encoder_mult"`   // widths of the levels, finest first
	DecoderMult       []float64 `json:"decoder_mult"`   // likewise, output resolution first
	ResBlocks         int       `json:"res_blocks"`     // residual blocks a level (the decoder has one more)
	Attention         []int     `json:"attention"`      // downsampling factors with attention
	Heads             int       `json:"heads"`          // attention heads, when HeadChannels is zero
	HeadChannels      int       `json:"head_channels"`  // channels a head
	HeadOrder         HeadOrder `json:"head_order"`
	Classes           int       `json:"classes"`             // zero: unconditional
	FiLM              bool      `json:"film"`                // embedding scales and shifts (use_scale_shift_norm); else it is added
	ResBlockScale     bool      `json:"resblock_scale"`      // residual blocks change the resolution (resblock_updown); else plain convolutions
	Groups            int       `json:"groups"`              // groups of the normalisation; 32 in ADM
	ModelChannelsHigh int       `json:"model_channels_high"` // width unit of the grown levels
	ResBlocksHigh     int       `json:"res_blocks_high"`     // residual blocks of a grown level besides the upsampling one
	FiLMHigh          bool      `json:"film_high"`
	Dropout           float64   `json:"dropout,omitempty"` // share dropped in residual blocks while training
}

// Grown is the number of levels above the base resolution.
func (c Config) Grown() int { return len(c.DecoderMult) - len(c.EncoderMult) }

// OutputSize is the resolution of the network's output.
func (c Config) OutputSize() int { return c.InputSize << c.Grown() }

// EmbedChannels is the width of the embedding of noise level and class.
func (c Config) EmbedChannels() int { return 4 * c.ModelChannels }

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case len(c.EncoderMult) == 0 || c.Grown() < 0:
		return fmt.Errorf("unet: %d encoder and %d decoder levels: the decoder needs at least as many as the encoder, and that one", len(c.EncoderMult), len(c.DecoderMult))
	case c.InputSize>>(len(c.EncoderMult)-1)<<(len(c.EncoderMult)-1) != c.InputSize || c.InputSize == 0:
		return fmt.Errorf("unet: resolution %d cannot be halved %d times", c.InputSize, len(c.EncoderMult)-1)
	case c.HeadOrder != Legacy && c.HeadOrder != Flash:
		return fmt.Errorf("unet: head order %q is neither %q nor %q", c.HeadOrder, Legacy, Flash)
	case c.HeadChannels == 0 && c.Heads == 0:
		return fmt.Errorf("unet: neither heads nor head_channels is given")
	case c.Groups < 1:
		return fmt.Errorf("unet: groups is %d: the normalisation needs at least one (ADM has 32)", c.Groups)
	case c.Dropout < 0 || c.Dropout >= 1:
		return fmt.Errorf("unet: dropout is %g: it must be in [0,1)", c.Dropout)
	case max(c.ResBlocks, c.ResBlocksHigh) > 64:
		return fmt.Errorf("unet: %d residual blocks a level: at most 64 make sense", max(c.ResBlocks, c.ResBlocksHigh))
	case c.ResBlocks < 1 || c.Channels < 1:
		return fmt.Errorf("unet: %d residual blocks a level and %d image channels: both must be positive", c.ResBlocks, c.Channels)
	}
	for i, m := range append(append([]float64{1}, c.EncoderMult...), c.DecoderMult...) {
		unit := c.ModelChannels
		if j := i - 1 - len(c.EncoderMult); j >= 0 && j < c.Grown() {
			unit = c.ModelChannelsHigh
		}
		if w := int(m * float64(unit)); w < 1 || w%c.Groups != 0 {
			return fmt.Errorf("unet: a level of %d channels: widths must be multiples of the %d groups of the normalisation", w, c.Groups)
		}
	}
	return nil
}

// heads is the number of attention heads of a block.
func (c Config) heads(channels int) int {
	if c.HeadChannels > 0 {
		return channels / c.HeadChannels
	}
	return c.Heads
}

func (c Config) attends(factor int) bool {
	for _, f := range c.Attention {
		if f == factor {
			return true
		}
	}
	return false
}
