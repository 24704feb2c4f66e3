package unet

import "fmt"

// What no network exceeds. A description in a file may claim anything: these keep
// what it claims from overflowing, and from being built before it is compared with the file.
const (
	maxSize    = 1 << 13 // of the output, pixels
	maxWidth   = 1 << 16 // channels
	maxBlocks  = 64      // a level
	maxClasses = 1 << 20
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	halvings := len(c.EncoderMult) - 1
	switch {
	case halvings < 0 || c.Grown() < 0:
		return fmt.Errorf("unet: %d encoder and %d decoder levels: the decoder needs at least as many as the encoder, and that one", len(c.EncoderMult), len(c.DecoderMult))
	case c.InputSize < 1 || c.InputSize > maxSize>>min(c.Grown(), 30):
		return fmt.Errorf("unet: from %d pixels through %d doublings: the input needs at least 1, the output may have %d", c.InputSize, c.Grown(), maxSize)
	case c.InputSize>>halvings<<halvings != c.InputSize:
		return fmt.Errorf("unet: resolution %d cannot be halved %d times", c.InputSize, halvings)
	case c.HeadOrder != Legacy && c.HeadOrder != Flash:
		return fmt.Errorf("unet: head order %q is neither %q nor %q", c.HeadOrder, Legacy, Flash)
	case min(c.Heads, c.HeadsUp, c.HeadChannels) < 0 || c.HeadChannels == 0 && c.Heads == 0:
		return fmt.Errorf("unet: heads, heads_up and head_channels are %d, %d and %d: none may be negative, and either heads or head_channels must be positive", c.Heads, c.HeadsUp, c.HeadChannels)
	case c.Groups < 1:
		return fmt.Errorf("unet: groups is %d: the normalisation needs at least one (ADM has 32)", c.Groups)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("unet: dropout is %g: it must be in [0,1)", c.Dropout)
	case c.ResBlocks < 1 || c.ResBlocks > maxBlocks:
		return fmt.Errorf("unet: %d residual blocks a level: there must be 1 to %d", c.ResBlocks, maxBlocks)
	case c.Grown() > 0 && (c.ResBlocksHigh < 0 || c.ResBlocksHigh > maxBlocks):
		return fmt.Errorf("unet: %d residual blocks a grown level: there must be 0 to %d", c.ResBlocksHigh, maxBlocks)
	case c.Channels < 1 || c.OutChannels < 0 || max(c.Channels, c.OutChannels) > maxWidth:
		return fmt.Errorf("unet: %d image channels, %d of the output: they must be positive, and at most %d", c.Channels, c.OutChannels, maxWidth)
	case c.Classes < 0 || c.Classes > maxClasses:
		return fmt.Errorf("unet: %d classes: there must be 0 (unconditional) to %d", c.Classes, maxClasses)
	case c.ModelChannels < 2 || c.ModelChannels > maxWidth:
		return fmt.Errorf("unet: model_channels is %d: it must be 2 to %d", c.ModelChannels, maxWidth)
	}
	return c.validateLevels()
}

// validateLevels checks the width of every level, and that its attention's heads
// divide it.
func (c Config) validateLevels() error {
	if err := c.validateWidth(float64(c.stem())); err != nil {
		return err
	}
	for level, m := range c.EncoderMult {
		last := level == len(c.EncoderMult)-1 // the middle block attends too
		if err := c.validateLevel(m, last || c.attends(1<<level), false); err != nil {
			return err
		}
	}
	for i, m := range c.DecoderMult {
		level := i - c.Grown()
		if level >= 0 {
			if err := c.validateLevel(m, c.attends(1<<level), true); err != nil {
				return err
			}
			continue
		}
		width := m * float64(c.ModelChannelsHigh)
		if err := c.validateWidth(width); err != nil {
			return err
		}
		below := c.ModelChannels
		if level < -1 {
			below = c.ModelChannelsHigh
		}
		if c.bare() && int(width) != int(c.DecoderMult[i+1]*float64(below)) {
			return fmt.Errorf("unet: a grown level of %d channels on one of %d: without convolutions, resampling cannot change the width", int(width), int(c.DecoderMult[i+1]*float64(below)))
		}
	}
	return nil
}

// validateLevel checks a level of the base, in which blocks may attend.
func (c Config) validateLevel(mult float64, attends, decoder bool) error {
	if err := c.validateWidth(mult * float64(c.ModelChannels)); err != nil || !attends {
		return err
	}
	width := int(mult * float64(c.ModelChannels))
	if heads := c.heads(width, decoder); heads < 1 || width%heads != 0 || c.HeadChannels > 0 && width%c.HeadChannels != 0 {
		return fmt.Errorf("unet: attention over %d channels: %d heads of %d channels (zero: as many as fit) do not divide them", width, heads, c.HeadChannels)
	}
	return nil
}

func (c Config) validateWidth(width float64) error {
	if !(width >= 1 && width <= maxWidth) || int(width)%c.Groups != 0 {
		return fmt.Errorf("unet: a level of %g channels: widths must be multiples of the %d groups of the normalisation, from 1 to %d", width, c.Groups, maxWidth)
	}
	return nil
}
