package convert

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// admShapes are the names and shapes of an ADM U-Net, learned variances and all.
func admShapes(t *testing.T, c unet.Config) *nn.Params {
	t.Helper()
	params := nn.NewShapes()
	if _, err := unet.New(params.Root(), c); err != nil {
		t.Fatal(err)
	}
	return params
}

// openai is guided-diffusion's network for ImageNet at 256 pixels.
func openai() unet.Config {
	mult := []float64{1, 1, 2, 2, 4, 4}
	return unet.Config{
		InputSize: 256, Channels: 3, OutChannels: 6, ModelChannels: 256, EncoderMult: mult, DecoderMult: mult, ResBlocks: 2, Attention: []int{8, 16, 32},
		HeadChannels: 64, HeadOrder: unet.Legacy, Classes: 1000, FiLM: true, ResBlockScale: true, Groups: 32,
	}
}

// Published ADM networks of no preset are described by their names and shapes, and
// by what has to be told besides.
func TestInfersADM(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*unet.Config)
		o      Options
	}{
		"guided-diffusion 256": {func(*unet.Config) {}, Options{Resolution: 256, Schedule: "linear"}},
		"guided-diffusion 512": {func(c *unet.Config) {
			c.InputSize, c.Stem, c.EncoderMult, c.Attention = 512, 128, []float64{0.5, 1, 1, 2, 2, 4, 4}, []int{16, 32, 64}
			c.DecoderMult = c.EncoderMult
		}, Options{Resolution: 512, Schedule: "linear"}},
		"guided-diffusion 128": {func(c *unet.Config) {
			c.InputSize, c.EncoderMult, c.Attention = 128, []float64{1, 1, 2, 3, 4}, []int{4, 8, 16}
			c.DecoderMult, c.Heads, c.HeadChannels = c.EncoderMult, 4, 0
		}, Options{Resolution: 128, Schedule: "linear", Heads: 4}},
		"guided-diffusion 64": {func(c *unet.Config) {
			c.InputSize, c.ModelChannels, c.EncoderMult, c.Attention, c.ResBlocks = 64, 192, []float64{1, 2, 3, 4}, []int{2, 4, 8}, 3
			c.DecoderMult = c.EncoderMult
		}, Options{Resolution: 64, Schedule: "cosine"}},
		"iDDPM 64": {func(c *unet.Config) {
			c.InputSize, c.ModelChannels, c.EncoderMult, c.Attention, c.ResBlocks = 64, 128, []float64{1, 2, 3, 4}, []int{4, 8}, 3
			c.DecoderMult, c.Heads, c.HeadChannels, c.ResBlockScale, c.Classes = c.EncoderMult, 4, 0, false, 0
		}, Options{Resolution: 64, Schedule: "cosine", Heads: 4}},
		"consistency-models LSUN": {func(c *unet.Config) {
			c.OutChannels, c.FiLM, c.Classes, c.HeadOrder = 0, false, 0, unet.Flash
		}, Options{Resolution: 256, Stage: network.Teacher}},
		"a decoder grown twice": {func(c *unet.Config) {
			c.OutChannels, c.HeadOrder, c.ModelChannelsHigh, c.ResBlocksHigh = 0, unet.Flash, 1, 2
			c.InputSize, c.ModelChannels, c.EncoderMult, c.DecoderMult, c.Attention = 32, 128, []float64{1, 2}, []float64{96, 160, 1, 1.5}, []int{2}
		}, Options{Resolution: 32}},
	} {
		want := openai()
		c.change(&want)
		f := fileOf(shapesOf(admShapes(t, want), "model."))
		n, err := f.Recognise(c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		form := network.Preconditioning{}
		if want.OutChannels > 0 { // left out
			form = network.Preconditioning{Form: network.IDDPM, Levels: 1000, Schedule: c.o.Schedule}
		}
		want.OutChannels = 0
		if got := n.Description; !reflect.DeepEqual(*got.Architecture.ADM, want) || got.Preconditioning != form {
			t.Errorf("%s: taken for %+v, %+v", name, *got.Architecture.ADM, got.Preconditioning)
		}
		if n.Description.Stage != network.Teacher && want.Grown() == 0 || n.Description.Stage != network.Generator && want.Grown() > 0 {
			t.Errorf("%s: a %s", name, n.Description.Stage)
		}
		o := c.o
		o.HeadOrder = string(unet.Flash)
		if n, err := f.Recognise(o); err != nil || n.Description.Architecture.ADM.HeadOrder != unet.Flash {
			t.Errorf("%s: %v, %v", name, n, err)
		}
		if _, err := f.Recognise(Options{}); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), "the resolution") {
			t.Errorf("%s, with nothing told: %v", name, err)
		}
	}
	if n := admShapes(t, openai()).Count(); n != 553_838_086 { // guided-diffusion's 256x256_diffusion.pt
		t.Errorf("%d parameters", n)
	}
}

// Shapes that almost are a network's are refused, and what they lack is named.
func TestAlmostADM(t *testing.T) {
	shapes := shapesOf(admShapes(t, openai()), "")
	delete(shapes, "middle_block.1.qkv.bias")
	if _, err := fileOf(shapes).Recognise(Options{Resolution: 256, Schedule: "linear"}); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "missing: middle_block.1.qkv.bias") {
		t.Error(err)
	}
	delete(shapes, "input_blocks.17.0.in_layers.2.weight")
	if _, err := fileOf(shapes).Recognise(Options{}); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), errShapes.Error()) {
		t.Error(err)
	}
}

// Of learned variances nothing is kept.
func TestVariancesAreLeftOut(t *testing.T) {
	c := unet.Config{
		InputSize: 8, Channels: 3, OutChannels: 6, ModelChannels: 32, EncoderMult: []float64{1, 2}, DecoderMult: []float64{1, 2}, ResBlocks: 1,
		Attention: []int{2}, Heads: 2, HeadOrder: unet.Legacy, Classes: 3, Groups: 32, ResBlockScale: true,
	}
	weights := randomWeights(admShapes(t, c))
	source, target := filepath.Join(t.TempDir(), "openai.pt"), filepath.Join(t.TempDir(), "teacher.safetensors")
	if err := pytorch.Write(source, weights); err != nil {
		t.Fatal(err)
	}
	n := recognise(t, source, Options{Resolution: 8, Heads: 2, Schedule: "cosine"})
	if err := n.Save(target, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range head {
		w := weights[name]
		w.Shape[0], w.Data = 3, w.Data[:len(w.Data)/2]
		weights[name] = w
	}
	sameTensors(t, target, weights)
}
