// Package edm has the networks of EDM (Karras et al. 2022): the U-Nets of
// DDPM++ and NCSN++ (Song et al. 2021) and of ADM (Dhariwal & Nichol 2021) as
// its checkpoints store them. Structure and parameter names are those of
// NVlabs/edm training/networks.py.
package edm

import "fmt"

// Architecture is a class of EDM's networks.
type Architecture string

// SongUNet is DDPM++ or NCSN++, DhariwalUNet is ADM.
const (
	SongUNet     Architecture = "SongUNet"
	DhariwalUNet Architecture = "DhariwalUNet"
)

// Config is the architecture of a network. The last four fields are SongUNet's alone.
type Config struct {
	Architecture  Architecture `json:"architecture"`
	Resolution    int          `json:"resolution"`        // of input and output, in pixels
	Channels      int          `json:"channels"`          // image channels, in and out
	LabelDim      int          `json:"label_dim"`         // classes; zero: unconditional
	AugmentDim    int          `json:"augment_dim"`       // numbers that describe an augmentation; zero: none
	ModelChannels int          `json:"model_channels"`    // width unit
	ChannelMult   []int        `json:"channel_mult"`      // widths of the levels, finest first
	EmbedMult     int          `json:"embed_mult"`        // width of the embedding
	Blocks        int          `json:"blocks"`            // residual blocks a level (the decoder has one more)
	Attention     []int        `json:"attention"`         // resolutions with attention
	Dropout       float64      `json:"dropout,omitempty"` // share dropped in residual blocks while training
	HeadChannels  int          `json:"head_channels"`     // channels a head, 64 in EDM's DhariwalUNet; narrower blocks have no attention. Zero: one head, as in SongUNet

	Fourier         bool      `json:"fourier"`          // random frequencies in the noise embedding (NCSN++); else fixed ones (DDPM++)
	NoiseMult       int       `json:"noise_mult"`       // width of the noise embedding: 1, in NCSN++ 2
	ResidualEncoder bool      `json:"residual_encoder"` // the image enters every level of the encoder (NCSN++)
	ResampleFilter  []float64 `json:"resample_filter"`  // (1,1), in NCSN++ (1,3,3,1)
}

// What no network exceeds: a description in a file may claim anything.
const (
	maxSize    = 1 << 13 // pixels
	maxWidth   = 1 << 16 // channels
	maxClasses = 1 << 20
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	halvings := len(c.ChannelMult) - 1
	switch {
	case c.Architecture != SongUNet && c.Architecture != DhariwalUNet:
		return fmt.Errorf("edm: architecture %q is neither %q nor %q", c.Architecture, SongUNet, DhariwalUNet)
	case halvings < 0:
		return fmt.Errorf("edm: channel_mult is empty: the network needs at least one level")
	case c.Resolution < 1 || c.Resolution > maxSize:
		return fmt.Errorf("edm: resolution is %d: it must be 1 to %d", c.Resolution, maxSize)
	case c.Resolution>>halvings<<halvings != c.Resolution:
		return fmt.Errorf("edm: resolution %d cannot be halved %d times", c.Resolution, halvings)
	case min(c.Channels, c.ModelChannels, c.EmbedMult, c.Blocks) < 1:
		return fmt.Errorf("edm: channels, model_channels, embed_mult and blocks are %d, %d, %d and %d: all must be positive", c.Channels, c.ModelChannels, c.EmbedMult, c.Blocks)
	case min(c.LabelDim, c.AugmentDim, c.HeadChannels) < 0:
		return fmt.Errorf("edm: label_dim, augment_dim and head_channels are %d, %d and %d: none may be negative", c.LabelDim, c.AugmentDim, c.HeadChannels)
	case max(c.Channels, c.ModelChannels, c.EmbedMult, c.NoiseMult, c.AugmentDim) > maxWidth || c.LabelDim > maxClasses:
		return fmt.Errorf("edm: channels, model_channels, embed_mult, noise_mult and augment_dim may be %d, label_dim %d: one is larger", maxWidth, maxClasses)
	case c.Blocks > 64:
		return fmt.Errorf("edm: %d residual blocks a level: at most 64 make sense", c.Blocks)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("edm: dropout is %g: it must be in [0,1)", c.Dropout)
	case c.Architecture == SongUNet && c.NoiseMult < 1:
		return fmt.Errorf("edm: noise_mult is %d: it must be positive", c.NoiseMult)
	case c.Architecture == SongUNet && (len(c.ResampleFilter) < 2 || len(c.ResampleFilter)%2 != 0 || len(c.ResampleFilter) > 64):
		return fmt.Errorf("edm: resample_filter has %d taps: it needs an even number, and at most 64 make sense", len(c.ResampleFilter))
	case c.noiseChannels()%2 != 0 || c.noiseChannels() < 4:
		return fmt.Errorf("edm: a noise embedding of %d channels: it needs an even number from 4 up", c.noiseChannels())
	}
	for _, mult := range c.ChannelMult {
		if mult < 1 || mult > maxWidth/c.ModelChannels {
			return fmt.Errorf("edm: channel_mult is %v: all must be positive, and widths at most %d", c.ChannelMult, maxWidth)
		}
		if width := mult * c.ModelChannels; c.heads(width) > 0 && width%c.heads(width) != 0 {
			return fmt.Errorf("edm: %d channels do not divide into %d heads", width, c.heads(width))
		}
	}
	return nil
}

// noiseChannels is the width of the noise embedding.
func (c Config) noiseChannels() int {
	if c.Architecture == SongUNet {
		return c.NoiseMult * c.ModelChannels
	}
	return c.ModelChannels
}

// embedChannels is the width of the embedding that conditions every block.
func (c Config) embedChannels() int { return c.EmbedMult * c.ModelChannels }
