package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/optim"
)

// Features are the frozen networks whose maps measure distance and feed the
// discriminators.
type Features struct {
	// Networks are of the list below, or TorchScript files (.pt); none: InDomain alone.
	Networks []string `toml:"networks"`
	// AsBuilt moves EfficientNet's BatchNorm statistics as the released code does.
	AsBuilt bool `toml:"as_built"`

	// The rest is the training of the in-domain classifier.
	Width     int     `toml:"width"`
	Images    int64   `toml:"images"`
	Batch     int     `toml:"batch"`
	LR        float64 `toml:"lr"`
	Smoothing float64 `toml:"smoothing"` // of the labels
	Shift     int     `toml:"shift"`     // random translation in pixels
}

// Feature networks: a classifier trained on the data, and the pretrained ones of
// Projected GANs, whose weights `pagoda features fetch` gets.
const (
	InDomain     = "in-domain"
	EfficientNet = "tf_efficientnet_lite0"
	DeiT         = "deit_base_distilled_patch16_224"
)

// Pretrained tells whether the networks are pretrained ones.
func (f Features) Pretrained() bool { return len(f.Networks) > 0 && f.Networks[0] != InDomain }

// IsScript tells whether a feature network is a TorchScript file.
func IsScript(network string) bool { return strings.HasSuffix(network, ".pt") }

// Distances of the reconstruction loss: between the feature networks' maps, or LPIPS.
const (
	Maps  = "maps"
	LPIPS = "lpips"
)

// Discriminators: light projection heads without BatchNorm, or those of Projected GANs.
const (
	Projection = "projection"
	MultiScale = "multiscale"
)

// Targets of the reconstruction loss: the images whose inversion the latents are,
// or what the teacher's ODE makes of fresh latents (noise-to-data distillation,
// at base resolution; for comparison).
const (
	ToData    = "data"
	ToTeacher = "teacher"
)

// Distill is stage 2, and the part of stage 3 that all growth shares. Of the keys
// with names, an empty one is the first named.
type Distill struct {
	Images          int64   `toml:"images"`
	Batch           int     `toml:"batch"`       // generated images a step, for the adversarial loss
	Reconstruct     int     `toml:"reconstruct"` // pairs a step, for the reconstruction loss; 0: no such loss
	Pairs           int     `toml:"pairs"`       // use the first so many pairs; 0: all
	Target          string  `toml:"target"`      // "data" or "teacher"
	Distance        string  `toml:"distance"`    // "maps" or "lpips"
	Optimizer       string  `toml:"optimizer"`
	LR              float64 `toml:"lr"`
	DiscriminatorLR float64 `toml:"discriminator_lr"`
	Clip            float64 `toml:"clip"` // largest norm of all gradients of an update together, as in Teacher
	Beta1           float64 `toml:"beta1"`
	Beta2           float64 `toml:"beta2"`
	Decay           float64 `toml:"decay"`
	EMA             float64 `toml:"ema"`

	Loss                 string  `toml:"loss"`                  // "hinge" or "log"
	Lambda               float64 `toml:"lambda"`                // weight of the adversarial loss; 0: none
	Balance              string  `toml:"balance"`               // what multiplies it: "fixed" (nothing), "norms" or "squared-norms"
	ReconstructionLambda float64 `toml:"reconstruction_lambda"` // weight of a discriminator on reconstructions; 0: none
	Separate             bool    `toml:"separate"`              // an optimiser step for each of the two losses

	Discriminator  string  `toml:"discriminator"`   // "projection" or "multiscale"
	Unconditional  bool    `toml:"unconditional"`   // multiscale: the discriminator is not told the class
	ClassEmbedding string  `toml:"class_embedding"` // multiscale: file with a pretrained tensor (classes,width); empty: learnt
	Heads          int     `toml:"heads"`           // width of projection heads
	Gain           float64 `toml:"gain"`            // of their scores
	Augment        Augment `toml:"augment"`
}

// Augment says which parts of DiffAugment the discriminator's images go through.
type Augment struct {
	Color           bool    `toml:"color"`
	Translation     bool    `toml:"translation"`
	Cutout          bool    `toml:"cutout"`
	Fill            float64 `toml:"fill"`            // what shifting and cutting leave behind
	Reconstructions bool    `toml:"reconstructions"` // the distance's images too, as in the released code
}

// any tells whether images are changed at all.
func (a Augment) any() bool { return a.Color || a.Translation || a.Cutout }

func (c *Config) validateObjective() error {
	f := c.Features
	for _, name := range f.Networks {
		if IsScript(name) {
			continue
		}
		if err := oneOf("features.networks", name, InDomain, EfficientNet, DeiT, "a TorchScript file (.pt)"); err != nil {
			return err
		}
	}
	if len(f.Networks) > 1 && slices.Contains(f.Networks, InDomain) {
		return fmt.Errorf("config: features.networks has %q beside others; it works alone", InDomain)
	}
	if f.Pretrained() && c.Data.Channels != 3 {
		return fmt.Errorf("config: features.networks are for RGB images; data.channels is %d", c.Data.Channels)
	}
	for i, d := range c.Adversarial() {
		key := "distill"
		if i > 0 {
			key = fmt.Sprintf("grow %d", i)
		}
		if err := d.validate(f.Pretrained()); err != nil {
			return fmt.Errorf("config: %s: %w", key, err)
		}
		if d.Distance == LPIPS && c.Data.Channels != 3 {
			return fmt.Errorf("config: %s: distance %q is for RGB images; data.channels is %d", key, LPIPS, c.Data.Channels)
		}
		if i > 0 && d.Target == ToTeacher {
			return fmt.Errorf(`config: %s: target = "teacher" is for base resolution alone`, key)
		}
	}
	return nil
}

// Adversarial are the settings of stage 2 and of every growth.
func (c *Config) Adversarial() []Distill {
	all := []Distill{c.Distill}
	for _, g := range c.Grow {
		all = append(all, g.Distill)
	}
	return all
}

func (d Distill) validate(pretrained bool) error {
	for _, name := range []struct {
		key, value string
		valid      []string
	}{
		{"target", d.Target, []string{ToData, ToTeacher}},
		{"distance", d.Distance, []string{Maps, LPIPS}},
		{"loss", d.Loss, []string{string(gan.Hinge), string(gan.LogD)}},
		{"balance", d.Balance, []string{string(gan.Fixed), string(gan.Norms), string(gan.SquaredNorms)}},
		{"discriminator", d.Discriminator, []string{Projection, MultiScale}},
	} {
		if name.value != "" {
			if err := oneOf(name.key, name.value, name.valid...); err != nil {
				return err
			}
		}
	}
	if err := oneOfOptimizers(d.Optimizer); err != nil {
		return err
	}
	switch {
	case d.Images <= 0 || d.Batch <= 0 || d.LR <= 0:
		return fmt.Errorf("images, batch and lr are %d, %d and %g; all must be positive", d.Images, d.Batch, d.LR)
	case d.Clip < 0:
		return fmt.Errorf("clip is %g; it must be a norm, or 0", d.Clip)
	case d.Beta1 < 0 || d.Beta1 >= 1 || d.Beta2 < 0 || d.Beta2 >= 1:
		return fmt.Errorf("beta1 and beta2 are %g and %g; both must be at least 0 and below 1", d.Beta1, d.Beta2)
	case shares(d.EMA, d.Decay) != nil:
		return shares(d.EMA, d.Decay)
	case d.Lambda < 0 || d.ReconstructionLambda < 0 || d.Reconstruct < 0 || d.Pairs < 0:
		return fmt.Errorf("lambda, reconstruction_lambda, reconstruct and pairs are %g, %g, %d and %d; none may be negative", d.Lambda, d.ReconstructionLambda, d.Reconstruct, d.Pairs)
	case d.Lambda == 0 && d.Reconstruct == 0:
		return fmt.Errorf("lambda and reconstruct are both 0; nothing is left to learn from")
	case d.ReconstructionLambda > 0 && d.Reconstruct == 0:
		return fmt.Errorf("reconstruction_lambda is %g and reconstruct 0; the discriminator on reconstructions needs some", d.ReconstructionLambda)
	case d.ReconstructionLambda > 0 && !d.Augment.any():
		return fmt.Errorf("reconstruction_lambda is %g and augment is empty; without augmentation that discriminator would see what the distance compares: augment its images, as the reference does", d.ReconstructionLambda)
	case d.DiscriminatorLR <= 0 && d.Lambda+d.ReconstructionLambda > 0:
		return fmt.Errorf("discriminator_lr is %g; it must be positive where there is a discriminator", d.DiscriminatorLR)
	case d.Discriminator != MultiScale && d.Lambda+d.ReconstructionLambda > 0 && (d.Heads <= 0 || pretrained):
		return fmt.Errorf("discriminator %q needs heads and the in-domain feature network; %q is for pretrained ones", Projection, MultiScale)
	case d.Discriminator != MultiScale && (d.Unconditional || d.ClassEmbedding != ""):
		return fmt.Errorf("unconditional and class_embedding are for discriminator %q", MultiScale)
	case d.Unconditional && d.ClassEmbedding != "":
		return fmt.Errorf("class_embedding is %q and unconditional is set; a discriminator that is not told the class embeds none", d.ClassEmbedding)
	case d.Distance == LPIPS && d.Augment.Reconstructions:
		return fmt.Errorf("augment.reconstructions is for distance %q; LPIPS compares images as they are", Maps)
	case d.Separate && (d.Lambda == 0 || d.Reconstruct == 0):
		return fmt.Errorf("separate is for two losses; lambda is %g and reconstruct %d", d.Lambda, d.Reconstruct)
	}
	return nil
}

// shares says what is wrong with the rate of an average and the share of a training.
func shares(ema, decay float64) error {
	switch {
	case ema < 0 || ema >= 1:
		return fmt.Errorf("ema is %g; it must be at least 0 and below 1", ema)
	case decay < 0 || decay > 1:
		return fmt.Errorf("decay is %g; it must be a share of the training, from 0 to 1", decay)
	}
	return nil
}

func oneOfOptimizers(value string) error {
	return oneOf("optimizer", value, string(optim.Adam), string(optim.AdamW), string(optim.RAdam))
}

// oneOf says what a key may be.
func oneOf(key, value string, valid ...string) error {
	if slices.Contains(valid, value) {
		return nil
	}
	return fmt.Errorf("%s is %q; it must be one of %s", key, value, strings.Join(valid, ", "))
}
