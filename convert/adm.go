package convert

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/unet"
)

// admBlock is what the names and shapes of one of an ADM U-Net's blocks tell: the
// width of its first layer, and what it consists of.
type admBlock struct {
	width  int
	film   bool
	layers []string // "res", "attention" or "resample"
}

// admBlocks are the blocks of a list, such as "output_blocks".
func admBlocks(have map[string][]int, list string) []admBlock {
	var blocks []admBlock
	for {
		var b admBlock
		for at := range 4 {
			prefix := list + "." + strconv.Itoa(len(blocks)) + "." + strconv.Itoa(at) + "."
			kind, width := "", 0
			switch {
			case have[prefix+"in_layers.2.weight"] != nil:
				kind, width = "res", side(have, prefix+"in_layers.2.weight", 0)
				b.film = side(have, prefix+"emb_layers.1.weight", 0) == 2*width
			case have[prefix+"qkv.weight"] != nil:
				kind = "attention"
			case have[prefix+"op.weight"] != nil, have[prefix+"conv.weight"] != nil:
				kind, width = "resample", side(have, prefix+"conv.weight", 0)
			case at == 0 && len(blocks) == 0 && have[prefix+"weight"] != nil:
				kind, width = "stem", side(have, prefix+"weight", 0)
			}
			if kind == "" {
				break
			}
			if at == 0 {
				b.width = width
			}
			b.layers = append(b.layers, kind)
		}
		if len(b.layers) == 0 {
			return blocks
		}
		blocks = append(blocks, b)
	}
}

// published is what ADM networks have that shapes do not tell: all of OpenAI's,
// and PaGoDA's, normalise in 32 groups, and most have heads of 64 channels.
const (
	publishedGroups = 32
	publishedHead   = 64
)

var errShapes = errors.New("its blocks are not arranged as in guided-diffusion's UNetModel")

// inferADM is the ADM U-Net, its decoder grown or not, that names and shapes are
// of. What they do not tell comes from the options, and else is as published.
func inferADM(have map[string][]int, o Options) (unet.Config, error) {
	in, out := admBlocks(have, "input_blocks"), admBlocks(have, "output_blocks")
	joins := 0 // of a level to the next finer one
	for _, b := range out {
		if last := b.layers[len(b.layers)-1]; len(b.layers) > 1 && last != "attention" {
			joins++
		}
	}
	levels := joins + 1
	each := (len(in) - levels) / levels // residual blocks of a level
	if each < 1 || (len(in)-levels)%levels != 0 || len(out) < levels*(each+1) {
		return unet.Config{}, errShapes
	}
	c := unet.Config{
		InputSize: o.Resolution, Channels: side(have, anchors[0], 1), ModelChannels: side(have, "time_embed.0.weight", 1),
		ResBlocks: each, HeadOrder: unet.Flash, Classes: classes(have), Groups: publishedGroups,
		FiLM: in[1].film, ResBlockScale: !slices.Contains(in[min(each+1, len(in)-1)].layers, "resample"),
	}
	if stem := in[0].width; stem != c.ModelChannels {
		c.Stem = stem
	}
	if c.ModelChannels < 1 {
		return c, errShapes
	}
	for level := range levels {
		first := in[1+level*(each+1)]
		c.EncoderMult = append(c.EncoderMult, multiplier(first.width, c.ModelChannels))
		c.DecoderMult = append(c.DecoderMult, multiplier(out[(levels-1-level)*(each+1)].width, c.ModelChannels))
		if slices.Contains(first.layers, "attention") {
			c.Attention = append(c.Attention, 1<<level)
		}
	}
	if err := inferGrowth(&c, out[levels*(each+1):]); err != nil {
		return c, err
	}
	if c.Heads = o.Heads; c.Heads == 0 {
		c.HeadChannels = publishedHead
	}
	return c, nil
}

// inferGrowth adds the levels above the base. Where nothing else tells them apart,
// they have two blocks besides the upsampling one, as all of PaGoDA's.
func inferGrowth(c *unet.Config, blocks []admBlock) error {
	if len(blocks) == 0 {
		return nil
	}
	each := 3
	if blocks[0].layers[0] == "resample" {
		c.ResBlockScale = false
		next := slices.IndexFunc(blocks[1:], func(b admBlock) bool { return b.layers[0] == "resample" })
		if each = next + 1; next < 0 {
			each = len(blocks)
		}
	}
	if len(blocks)%each != 0 {
		return errShapes
	}
	c.ModelChannelsHigh, c.ResBlocksHigh, c.FiLMHigh = 1, each-1, blocks[len(blocks)-1].film
	for i := 0; i < len(blocks); i += each {
		c.DecoderMult = append([]float64{float64(blocks[i].width)}, c.DecoderMult...)
	}
	return nil
}

// multiplier is what gives a width again when the network multiplies and cuts off.
func multiplier(width, unit int) float64 {
	m := float64(width) / float64(unit)
	if int(m*float64(unit)) < width {
		m = math.Nextafter(m, 2*m)
	}
	return m
}

// infer finds the ADM U-Net of no preset that weights are of, or says what has to
// be told before it can be described.
func (f *File) infer(have map[string][]int, o Options) (*Network, error) {
	c, err := inferADM(have, o)
	if err != nil {
		return nil, err
	}
	d := network.Description{Stage: o.Stage, Architecture: network.Config{ADM: &c}}
	var untold []string
	switch predictsNoise := f.variances(); {
	case c.Grown() > 0:
		d.Stage = network.Generator
	case predictsNoise:
		d.Stage, c.HeadOrder = network.Teacher, unet.Legacy // guided-diffusion's
		if d.Preconditioning = (network.Preconditioning{Form: network.IDDPM, Levels: 1000, Schedule: o.Schedule}); o.Schedule == "" {
			untold = append(untold, fmt.Sprintf("the noise schedule (%s in guided-diffusion at 64 pixels, %s above)", diffusion.CosineSchedule, diffusion.LinearSchedule))
		}
	case d.Stage == "":
		untold = append(untold, "the stage")
	}
	if o.HeadOrder != "" {
		c.HeadOrder = unet.HeadOrder(o.HeadOrder)
	}
	if o.Resolution == 0 {
		c.InputSize = 1 << (len(c.EncoderMult) - 1) // any will do to compare
		hint := ""
		if len(c.Attention) > 0 {
			hint = fmt.Sprintf(" (%d if attention begins at 32 pixels, as in published ones)", 32*c.Attention[0])
		}
		untold = append(untold, "the resolution"+hint)
	}
	one, err := newCandidate(d, 0)
	if err != nil {
		return nil, err
	}
	if differences := one.params.Compare(have); differences.Count() > 0 {
		return nil, fmt.Errorf("%w, but for: %s", errShapes, differences)
	}
	if len(untold) > 0 {
		return nil, fmt.Errorf("%s holds an ADM U-Net of no preset, %d × %v (%s), and %w: give %s", f.path, c.ModelChannels, c.EncoderMult, millions(one.params.Count()), ErrAmbiguous, strings.Join(untold, ", "))
	}
	return f.found(one), nil
}

// head are the parameters that answer with image and, in guided-diffusion, variances.
var head = []string{"out.2.weight", "out.2.bias"}

// variances tells whether an ADM U-Net answers with twice the image's channels: the
// noise, and variances, which nothing here has a use for and which are left out.
func (f *File) variances() bool {
	channels := side(f.shapes, f.prefix+anchors[0], 1)
	return channels > 0 && side(f.shapes, f.prefix+head[0], 0) == 2*channels && side(f.shapes, f.prefix+head[1], 0) == 2*channels
}
