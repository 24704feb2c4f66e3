// Package config is the one typed description of a run: which data, which
// networks, how long each stage trains. Presets are files embedded in the
// binary; a run keeps its own copy.
package config

import (
	"fmt"

	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/unet"
)

// Config describes a run. Resolutions are in pixels, amounts of training in
// images seen.
type Config struct {
	Name      string    `toml:"name"`
	Seed      uint64    `toml:"seed"`
	Precision string    `toml:"precision"` // "bfloat16" where the processor multiplies it in hardware, or "float32"
	Data      Data      `toml:"data"`
	Network   Network   `toml:"network"`
	Teacher   Teacher   `toml:"teacher"`
	Invert    Invert    `toml:"invert"`
	Features  Features  `toml:"features"`
	Distill   Distill   `toml:"distill"`
	Grow      []Grow    `toml:"grow"`
	Evaluator Evaluator `toml:"evaluator"`
}

// Data says where the images are. Source is "fashion-mnist", or a folder or zip
// file of images with a subfolder for each class.
type Data struct {
	Source     string `toml:"source"`
	Path       string `toml:"path"` // of the data, when it is not where the source usually is
	Resolution int    `toml:"resolution"`
	Channels   int    `toml:"channels"`
	Mirror     bool   `toml:"mirror"` // train on mirror images too, each with its own latent
}

// Network is the base network: teacher, and lower part of every generator.
type Network struct {
	Resolution   int       `toml:"resolution"`
	Channels     int       `toml:"channels"`
	Mult         []float64 `toml:"mult"`
	ResBlocks    int       `toml:"res_blocks"`
	Attention    []int     `toml:"attention"` // resolutions with attention
	HeadChannels int       `toml:"head_channels"`
	Groups       int       `toml:"groups"`
}

// Teacher is stage 1, diffusion on downsampled images.
type Teacher struct {
	Images    int64   `toml:"images"`
	Batch     int     `toml:"batch"`
	Optimizer string  `toml:"optimizer"`
	LR        float64 `toml:"lr"`
	Decay     float64 `toml:"decay"` // share of the training after which the learning rate falls
	EMA       float64 `toml:"ema"`
	SigmaMean float64 `toml:"sigma_mean"` // ln sigma ~ N(mean, std²)
	SigmaStd  float64 `toml:"sigma_std"`
}

// Invert is the encoder: the probability-flow ODE from data to noise.
type Invert struct {
	Images     int     `toml:"images"` // how many pictures get a latent; 0 for all
	Batch      int     `toml:"batch"`
	Steps      int     `toml:"steps"`
	SigmaStart float64 `toml:"sigma_start"` // noise level the path starts at
	Noise      bool    `toml:"noise"`       // add noise of that level to the image first
}

// Features is the in-domain classifier whose activations measure distance and feed the discriminator.
type Features struct {
	Width     int     `toml:"width"`
	Images    int64   `toml:"images"`
	Batch     int     `toml:"batch"`
	LR        float64 `toml:"lr"`
	Smoothing float64 `toml:"smoothing"` // of the labels
	Shift     int     `toml:"shift"`     // random translation in pixels
}

// Distill is stage 2, and the part of stage 3 that all growth shares.
type Distill struct {
	Images          int64   `toml:"images"`
	Batch           int     `toml:"batch"`       // generated images a step, for the adversarial loss
	Reconstruct     int     `toml:"reconstruct"` // pairs a step, for the reconstruction loss
	Optimizer       string  `toml:"optimizer"`
	LR              float64 `toml:"lr"`
	DiscriminatorLR float64 `toml:"discriminator_lr"`
	Beta1           float64 `toml:"beta1"`
	Beta2           float64 `toml:"beta2"`
	Decay           float64 `toml:"decay"`
	EMA             float64 `toml:"ema"`
	Adaptive        bool    `toml:"adaptive"` // lambda times the ratio of gradient norms, clipped to [0.01,10]
	Lambda          float64 `toml:"lambda"`   // weight of the adversarial loss
	Heads           int     `toml:"heads"`    // width of the discriminator's heads
	Gain            float64 `toml:"gain"`     // of the discriminator's scores
	Augment         Augment `toml:"augment"`
}

// Augment says which parts of DiffAugment the discriminator's images go through.
type Augment struct {
	Color       bool    `toml:"color"`
	Translation bool    `toml:"translation"`
	Cutout      bool    `toml:"cutout"`
	Fill        float64 `toml:"fill"` // what shifting and cutting leave behind
}

// Grow is one doubling of the resolution or several at once; what it leaves out is as in Distill.
type Grow struct {
	Resolution int `toml:"resolution"`
	Channels   int `toml:"channels"`   // width of the new levels
	ResBlocks  int `toml:"res_blocks"` // residual blocks after the upsampling one
	Distill
}

// Evaluator is the independent classifier that scores samples.
type Evaluator struct {
	Images int64 `toml:"images"` // training; 0 uses the one shipped for the source
}

// Base is the architecture of the teacher and the base generator.
func (c *Config) Base() network.Config { return network.Config{ADM: c.adm()} }

func (c *Config) adm() *unet.Config {
	u := &unet.Config{
		InputSize: c.Network.Resolution, Channels: c.Data.Channels, ModelChannels: c.Network.Channels,
		EncoderMult: c.Network.Mult, DecoderMult: c.Network.Mult, ResBlocks: c.Network.ResBlocks,
		HeadChannels: c.Network.HeadChannels, HeadOrder: unet.Legacy, FiLM: true, ResBlockScale: true,
		Groups: c.Network.Groups,
	}
	for _, r := range c.Network.Attention {
		u.Attention = append(u.Attention, c.Network.Resolution/max(r, 1))
	}
	return u
}

// Generator is the architecture after the first n growths.
func (c *Config) Generator(n int) network.Config {
	u := c.adm()
	for _, g := range c.Grow[:n] {
		for u.OutputSize() < g.Resolution {
			u.DecoderMult = append([]float64{float64(g.Channels)}, u.DecoderMult...)
		}
		u.ModelChannelsHigh, u.ResBlocksHigh = 1, g.ResBlocks
	}
	return network.Config{ADM: u}
}

// Validate says what is wrong with the run, naming the key.
func (c *Config) Validate() error {
	positive := map[string]float64{
		"data.resolution": float64(c.Data.Resolution), "data.channels": float64(c.Data.Channels),
		"network.resolution": float64(c.Network.Resolution), "network.channels": float64(c.Network.Channels),
		"network.groups": float64(c.Network.Groups), "network.head_channels": float64(c.Network.HeadChannels),
		"teacher.batch": float64(c.Teacher.Batch), "teacher.images": float64(c.Teacher.Images), "teacher.lr": c.Teacher.LR,
		"invert.steps": float64(c.Invert.Steps), "invert.batch": float64(c.Invert.Batch), "invert.sigma_start": c.Invert.SigmaStart,
		"features.width": float64(c.Features.Width), "features.batch": float64(c.Features.Batch),
		"features.images": float64(c.Features.Images), "features.lr": c.Features.LR,
		"distill.batch": float64(c.Distill.Batch), "distill.reconstruct": float64(c.Distill.Reconstruct),
		"distill.images": float64(c.Distill.Images), "distill.lr": c.Distill.LR, "distill.heads": float64(c.Distill.Heads),
	}
	for _, key := range sorted(positive) {
		if positive[key] <= 0 {
			return fmt.Errorf("config: %s is %v; it must be positive", key, positive[key])
		}
	}
	if c.Precision != "float32" && c.Precision != "bfloat16" {
		return fmt.Errorf(`config: precision is %q; it must be "float32" or "bfloat16"`, c.Precision)
	}
	for _, o := range []string{c.Teacher.Optimizer, c.Distill.Optimizer} {
		if o != "adam" && o != "adamw" && o != "radam" {
			return fmt.Errorf(`config: optimizer is %q; it must be "adam", "adamw" or "radam"`, o)
		}
	}
	at := c.Network.Resolution
	for i, g := range c.Grow {
		if g.Resolution <= at || g.Resolution&(g.Resolution-1) != 0 {
			return fmt.Errorf("config: grow %d goes from %d to %d pixels; every growth must at least double a power of two", i+1, at, g.Resolution)
		}
		at = g.Resolution
	}
	if at > c.Data.Resolution {
		return fmt.Errorf("config: the generator grows to %d pixels and data.resolution is only %d", at, c.Data.Resolution)
	}
	if c.Network.Resolution&(c.Network.Resolution-1) != 0 || c.Data.Resolution%c.Network.Resolution != 0 {
		return fmt.Errorf("config: network.resolution %d must be a power of two that divides data.resolution %d", c.Network.Resolution, c.Data.Resolution)
	}
	return c.Generator(len(c.Grow)).Validate()
}
