package unet

import (
	"math"
	"strings"
	"testing"
)

// What a file may claim of a network is refused in words before anything is built.
func TestImpossibleNetworks(t *testing.T) {
	possible := func() Config {
		return Config{
			InputSize: 8, Channels: 3, ModelChannels: 32, EncoderMult: []float64{1, 2}, DecoderMult: []float64{1, 1, 2}, ResBlocks: 1,
			Attention: []int{2}, HeadChannels: 32, HeadOrder: Legacy, Classes: 3, Groups: 8, ModelChannelsHigh: 16, ResBlocksHigh: 1,
		}
	}
	if err := possible().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"-1 classes":                       func(c *Config) { c.Classes = -1 },
		"4611686018427387904 classes":      func(c *Config) { c.Classes = 1 << 62 },
		"from 0 pixels":                    func(c *Config) { c.InputSize = 0 },
		"from -8 pixels":                   func(c *Config) { c.InputSize = -8 },
		"from 8192 pixels":                 func(c *Config) { c.InputSize = 8192 }, // and once doubled
		"resolution 9 cannot be halved":    func(c *Config) { c.InputSize = 9 },
		"attention over 64 channels: 0":    func(c *Config) { c.HeadChannels = 65 },
		"attention over 64 channels: 1 he": func(c *Config) { c.HeadChannels = 48 },
		"attention over 64 channels: 3 he": func(c *Config) { c.HeadChannels, c.Heads = 0, 3 },
		"heads, heads_up and head_channe":  func(c *Config) { c.HeadsUp = -1 },
		"model_channels is":                func(c *Config) { c.ModelChannels = 1 << 40 },
		"a level of 24 channels":           func(c *Config) { c.ModelChannels, c.Groups, c.EncoderMult = 32, 16, []float64{0.75, 2} },
		"a level of +Inf channels":         func(c *Config) { c.DecoderMult[2] = math.Inf(1) },
		"a level of 1.6e+10 channels":      func(c *Config) { c.DecoderMult[0] = 1e9 },
		"-1 residual blocks a grown level": func(c *Config) { c.ResBlocksHigh = -1 },
		"1000 residual blocks a level":     func(c *Config) { c.ResBlocks = 1000 },
		"image channels":                   func(c *Config) { c.OutChannels = -1 },
		"dropout is NaN":                   func(c *Config) { c.Dropout = math.NaN() },
		"without convolutions":             func(c *Config) { c.BareResample = true },
	} {
		c := possible()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
