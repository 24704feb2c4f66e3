package config

import (
	"fmt"
	"math/bits"
)

// Grow is one doubling of the resolution or several at once; what it leaves out is as in Distill.
type Grow struct {
	Resolution   int       `toml:"resolution"`
	Channels     Widths    `toml:"channels"`      // widths of the new levels
	ResBlocks    int       `toml:"res_blocks"`    // residual blocks after the upsampling one; the same in all growths
	DecoderMult  []float64 `toml:"decoder_mult"`  // widths of the base's decoder from here on, finest first; none: as below. Where they change, blocks start anew
	ActivateFrom int       `toml:"activate_from"` // first output block that trains; 0: the previous highest resolution's, or the first that is new
	Distill
}

// Widths are the channels of new levels, finest first; in a file, a number is that of all of them.
type Widths []int

// UnmarshalTOML takes a number or a list.
func (w *Widths) UnmarshalTOML(value any) error {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	*w = nil
	for _, v := range list {
		n, ok := v.(int64)
		if !ok {
			return fmt.Errorf("channels has %v; it must be a whole number or a list of them", v)
		}
		*w = append(*w, int(n))
	}
	return nil
}

// levels are the widths of the new levels, finest first, of a growth from a lower resolution.
func (g Grow) levels(from int) []float64 {
	levels := make([]float64, doublings(from, g.Resolution))
	for i := range levels {
		levels[i] = float64(g.Channels[min(i, len(g.Channels)-1)])
	}
	return levels
}

// doublings is the number of new levels between two resolutions.
func doublings(from, to int) int { return bits.Len(uint(to/max(from, 1))) - 1 }

func (c *Config) validateGrowths() error {
	at := c.Network.Resolution
	for i, g := range c.Grow {
		key := fmt.Sprintf("grow %d", i+1)
		switch {
		case g.Resolution <= at || g.Resolution&(g.Resolution-1) != 0:
			return fmt.Errorf("config: %s goes from %d to %d pixels; every growth must at least double a power of two", key, at, g.Resolution)
		case len(g.Channels) != 1 && len(g.Channels) != doublings(at, g.Resolution):
			return fmt.Errorf("config: %s: channels has %d numbers for %d new levels; it must be one for all of them or one for each", key, len(g.Channels), doublings(at, g.Resolution))
		case g.ResBlocks < 0 || g.ActivateFrom < 0:
			return fmt.Errorf("config: %s: res_blocks and activate_from are %d and %d; neither may be negative", key, g.ResBlocks, g.ActivateFrom)
		case g.ResBlocks != c.Grow[0].ResBlocks:
			return fmt.Errorf("config: %s: res_blocks is %d and that of grow 1 is %d; all grown levels have the same number", key, g.ResBlocks, c.Grow[0].ResBlocks)
		}
		at = g.Resolution
	}
	if at > c.Data.Resolution {
		return fmt.Errorf("config: the generator grows to %d pixels and data.resolution is only %d", at, c.Data.Resolution)
	}
	return nil
}
