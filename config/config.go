// Package config is the one typed description of a run: which data, which
// networks, how long each stage trains. Presets are files embedded in the
// binary; a run keeps its own copy.
package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
)

// Config describes a run. Resolutions are in pixels, amounts of training in
// images seen.
type Config struct {
	Name      string    `toml:"name"`
	Seed      uint64    `toml:"seed"`
	Precision string    `toml:"precision"` // "bfloat16" where the processor multiplies it in hardware, "float16" on CUDA alone, with scaled losses, or "float32"
	Data      Data      `toml:"data"`
	Network   Network   `toml:"network"`
	Teacher   Teacher   `toml:"teacher"`
	Invert    Invert    `toml:"invert"`
	Features  Features  `toml:"features"`
	Distill   Distill   `toml:"distill"`
	Grow      []Grow    `toml:"grow"`
	Evaluator Evaluator `toml:"evaluator"`
	Watch     Watch     `toml:"watch"`
}

// Data says where the images are. Source is one of [data.Load]'s.
type Data struct {
	Source     string `toml:"source"`
	Path       string `toml:"path"` // of the data, when it is not where the source usually is
	Resolution int    `toml:"resolution"`
	Channels   int    `toml:"channels"`
	Classes    int    `toml:"classes"` // how many there must be; zero: as many as there are
	Mirror     bool   `toml:"mirror"`  // train on mirror images too, each with its own latent

	// MirrorClasses tells the networks which images are mirror images, as classes
	// of their own that samples are not made of: the networks learn from both, and
	// what is drawn the right way round stays so (EDM's non-leaking augmentation).
	MirrorClasses bool `toml:"mirror_classes"`
}

// At is the same data in another place, which may be another kind of source.
func (d Data) At(path string) Data {
	if d.Path = path; d.Source != "fashion-mnist" {
		d.Source = data.SourceOf(path)
	}
	return d
}

// NetworkClasses is the number of classes that the networks are told, those of
// mirror images among them, as far as the configuration knows; 0 for none.
func (d Data) NetworkClasses() int {
	switch {
	case d.MirrorClasses:
		return 2 * d.Classes
	case d.Classes == 1: // as good as none
		return 0
	}
	return d.Classes
}

// Teacher is stage 1, diffusion on downsampled images.
type Teacher struct {
	Images    int64   `toml:"images"`
	Batch     int     `toml:"batch"`
	Optimizer string  `toml:"optimizer"`
	LR        float64 `toml:"lr"`
	Beta2     float64 `toml:"beta2"` // of the optimiser, beside 0.9; zero: 0.999
	Decay     float64 `toml:"decay"` // share of the training after which the learning rate falls
	EMA       float64 `toml:"ema"`
	Clip      float64 `toml:"clip"`       // largest norm of all gradients together, which larger ones are brought down to; 0: any
	Dropout   float64 `toml:"dropout"`    // share dropped in residual blocks
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

// Validate says what is wrong with the run, naming the key.
func (c *Config) Validate() error {
	positive := map[string]float64{
		"data.resolution": float64(c.Data.Resolution), "data.channels": float64(c.Data.Channels),
		"network.resolution": float64(c.Network.Resolution), "network.channels": float64(c.Network.Channels),
		"teacher.batch": float64(c.Teacher.Batch), "teacher.images": float64(c.Teacher.Images), "teacher.lr": c.Teacher.LR, "teacher.sigma_std": c.Teacher.SigmaStd,
		"invert.steps": float64(c.Invert.Steps), "invert.batch": float64(c.Invert.Batch), "invert.sigma_start": c.Invert.SigmaStart,
	}
	if key := notFinite(reflect.ValueOf(*c), ""); key != "" {
		return fmt.Errorf("config: %s is not a finite number", key)
	}
	for _, key := range sorted(positive) {
		if positive[key] <= 0 {
			return fmt.Errorf("config: %s is %v; it must be positive", key, positive[key])
		}
	}
	if c.Precision != "float32" && c.Precision != "bfloat16" && c.Precision != "float16" {
		return fmt.Errorf(`config: precision is %q; it must be "float32", "bfloat16" or "float16"`, c.Precision)
	}
	if err := oneOfOptimizers(c.Teacher.Optimizer); err != nil {
		return fmt.Errorf("config: teacher.%w", err)
	}
	if c.Teacher.Clip < 0 {
		return fmt.Errorf("config: teacher.clip is %g; it must be a norm, or 0", c.Teacher.Clip)
	}
	if err := shares(c.Teacher.EMA, c.Teacher.Decay); err != nil {
		return fmt.Errorf("config: teacher.%w", err)
	}
	if b := c.Teacher.Beta2; b < 0 || b >= 1 {
		return fmt.Errorf("config: teacher.beta2 is %g; it must be at least 0 and below 1", b)
	}
	if c.Invert.Images < 0 || c.Data.Classes < 0 {
		return fmt.Errorf("config: invert.images and data.classes are %d and %d; neither may be negative", c.Invert.Images, c.Data.Classes)
	}
	if c.Invert.Steps < 2 || c.Invert.Steps > 10_000 || c.Invert.SigmaStart >= diffusion.SigmaMax {
		return fmt.Errorf("config: invert.steps and invert.sigma_start are %d and %g; there must be 2 to 10000 noise levels, from below %d on", c.Invert.Steps, c.Invert.SigmaStart, int(diffusion.SigmaMax))
	}
	if c.Data.MirrorClasses && !c.Data.Mirror {
		return errors.New("config: data.mirror_classes is about mirror images; set data.mirror too")
	}
	for _, validate := range []func() error{c.validateClassifiers, c.validateObjective, c.Watch.validate, c.validateGrowths, c.validateNetworks} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateNetworks() error {
	n := c.Network
	for i, g := range c.Grow {
		if c.Data.Resolution%g.Resolution != 0 {
			return fmt.Errorf("config: grow %d goes to %d pixels, which do not divide data.resolution %d", i+1, g.Resolution, c.Data.Resolution)
		}
	}
	if n.Resolution&(n.Resolution-1) != 0 || c.Data.Resolution%n.Resolution != 0 {
		return fmt.Errorf("config: network.resolution %d must be a power of two that divides data.resolution %d", n.Resolution, c.Data.Resolution)
	}
	if err := n.validate(len(c.Grow)); err != nil {
		return err
	}
	base := c.Base()
	if base.ADM != nil {
		if err := n.validateAttention(); err != nil {
			return err
		}
	}
	if err := base.Validate(); err != nil {
		return err
	}
	for i := range c.Grow {
		if err := c.validateGrowth(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// validateAttention says which level cannot have the attention that it should.
func (n Network) validateAttention() error {
	levels := map[int]int{} // width by resolution
	for i, m := range n.Mult {
		levels[n.Resolution>>i] = int(m * float64(n.Channels))
	}
	deepest := n.Resolution >> max(len(n.Mult)-1, 0) // always has attention, in the middle block
	for _, r := range append(slices.Clone(n.Attention), deepest) {
		width, ok := levels[r]
		if !ok {
			return fmt.Errorf("config: network.attention has %d; the levels of the network are at %v pixels", r, slices.Sorted(maps.Keys(levels)))
		}
		if n.HeadChannels < 0 || n.HeadChannels > 0 && width%n.HeadChannels != 0 {
			return fmt.Errorf("config: network.head_channels is %d; it must divide the %d channels of the level of %d pixels, which has attention", n.HeadChannels, width, r)
		}
	}
	return nil
}
