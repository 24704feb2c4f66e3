package convert

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// Options narrow down which network a file may hold. The zero value allows those
// of all presets.
type Options struct {
	Preset string // name of a preset, or a .toml file
	Stage  string // network.Teacher or network.Generator

	// HeadOrder is that of an ADM U-Net's attention, unet.Legacy or unet.Flash; empty:
	// the preset's, or else legacy where variances are learned (guided-diffusion) and
	// flash where not (consistency-models, PaGoDA).
	HeadOrder string

	// The rest is what shapes do not tell of an ADM U-Net of no preset.
	Resolution int    // of its input, pixels
	Heads      int    // of its attention; 0: one for every 64 channels
	Schedule   string // of the noise that it predicts, where variances are learned: diffusion.LinearSchedule or CosineSchedule
}

// validate says which option is none of the possible ones.
func (o Options) validate() error {
	oneOf := func(name, value string, valid ...string) error {
		if value == "" || slices.Contains(valid, value) {
			return nil
		}
		return fmt.Errorf("%s %q is neither %q nor %q", name, value, valid[0], valid[1])
	}
	return cmp.Or(
		oneOf("stage", o.Stage, network.Teacher, network.Generator),
		oneOf("head order", o.HeadOrder, string(unet.Legacy), string(unet.Flash)),
		oneOf("noise schedule", o.Schedule, diffusion.LinearSchedule, diffusion.CosineSchedule))
}

// candidate is a network that a file may hold.
type candidate struct {
	description network.Description
	params      *nn.Params // shapes alone
	further     int        // growths that the preset has after it
}

func newCandidate(d network.Description, further int) (candidate, error) {
	params, err := d.Architecture.Shapes()
	return candidate{d, params, further}, err
}

// candidates are the networks of the presets that the options allow, for a number
// of classes; those first with which a preset ends.
func candidates(o Options, classes int) ([]candidate, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	presets := config.Presets()
	if o.Preset != "" {
		presets = []string{o.Preset}
	}
	var all []candidate
	for _, preset := range presets {
		c, err := config.Load(preset)
		if err != nil {
			return nil, err
		}
		list := []network.Description{{Stage: network.Teacher, Architecture: c.Base()}}
		for n := range len(c.Grow) + 1 {
			list = append(list, network.Description{Stage: network.Generator, Architecture: c.Generator(n)})
		}
		for i, d := range list {
			if o.Stage != "" && o.Stage != d.Stage {
				continue
			}
			d.Preset, d.Architecture = c.Name, d.Architecture.WithClasses(classes)
			if u := d.Architecture.ADM; u != nil && o.HeadOrder != "" {
				u.HeadOrder = unet.HeadOrder(o.HeadOrder)
			}
			one, err := newCandidate(d, len(c.Grow)-max(0, i-1))
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return a.further - b.further })
	return all, nil
}

// fitting are the candidates whose names and shapes those of a file are, but of
// those that are the same only the first.
func fitting(list []candidate, have map[string][]int) []candidate {
	var fits []candidate
	for _, c := range list {
		if c.params.Compare(have).Count() == 0 && !slices.ContainsFunc(fits, c.same) {
			fits = append(fits, c)
		}
	}
	return fits
}

// same tells whether two networks compute the same from the same weights: whether
// they are equal but for what concerns training alone.
func (c candidate) same(other candidate) bool {
	d, e := c.description, other.description
	return d.Stage == e.Stage && d.Preconditioning == e.Preconditioning &&
		reflect.DeepEqual(trained(d.Architecture), trained(e.Architecture))
}

// trained is an architecture without what concerns training alone.
func trained(c network.Config) network.Config {
	c = c.WithClasses(c.Classes()) // a copy
	if c.EDM != nil {
		c.EDM.Dropout = 0
	} else {
		c.ADM.Dropout = 0
	}
	return c
}

// String is what people call the network.
func (c candidate) String() string {
	d := c.description
	side := d.Architecture.OutputSize()
	kind := "PaGoDA decoder"
	if d.Stage == network.Teacher {
		kind = "EDM teacher"
		switch d.Preconditioning.Form {
		case network.VP:
			kind = "VP teacher"
		case network.VE:
			kind = "VE teacher"
		case network.IDDPM:
			kind = "iDDPM teacher"
		}
	}
	text := fmt.Sprintf("%d×%d %s", side, side, kind)
	if d.Preset != "" {
		text += " of preset " + d.Preset
	}
	return fmt.Sprintf("%s (%s, %s)", text, d.Architecture.Name(), millions(c.params.Count()))
}

func millions(n int) string {
	if n < 100_000 {
		return fmt.Sprintf("%d parameters", n)
	}
	return fmt.Sprintf("%.1f M parameters", float64(n)/1e6)
}
