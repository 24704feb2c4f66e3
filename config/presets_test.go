package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The networks of the presets are the reference's: sony/pagoda's UNetModel with
// the multipliers of cm/script_util.py, and EDM's SongUNet as train.py makes it.
// Parameters were counted, and the digests of names and shapes of its state_dict
// taken, by building them there.
func TestNetworksAreTheReferences(t *testing.T) {
	for name, want := range map[string]struct {
		parameters int
		digest     string
	}{
		"imagenet-64":          {295_899_267, "e4e1c5e4fd19"},
		"imagenet-128":         {298_336_323, "07674dd46cbc"},
		"imagenet-256":         {300_773_379, "245e99dcbd30"},
		"imagenet-512":         {259_173_411, "8dc4ea584b0a"},
		"imagenet-32":          {209_830_467, "5c52992d3d69"},
		"imagenet-64-from-32":  {212_267_523, "5646f01047f5"},
		"imagenet-128-from-32": {214_704_579, "ae0bd97cfc2e"},
		"imagenet-256-from-32": {217_141_635, "2a01a475be9b"},
		"imagenet-512-from-32": {217_961_379, "9a4a64ef6838"},
		"cifar10":              {55_735_299, "7aa25f9d5389"},
		"cifar10 ncsn++":       {56_400_643, "12666376178c"},
		"imagenet-64 edm-adm":  {295_899_267, "50dc7d2a87cd"},
		"ffhq-64":              {61_805_571, "e30c7e945249"},
	} {
		preset, architecture, other := strings.Cut(name, " ")
		c, err := Load(preset)
		if err != nil {
			t.Error(err)
			continue
		}
		if other {
			c.Network.Architecture, c.Network.HeadOrder, c.Network.Groups = architecture, "", 0
		}
		classes := c.Data.Classes
		if classes == 1 {
			classes = 0
		}
		shapes, err := c.Generator(len(c.Grow)).WithClasses(classes).Shapes()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := shapes.Count(); n != want.parameters {
			t.Errorf("%s: %d parameters, the reference has %d", name, n, want.parameters)
		}
		hash := sha256.New()
		for _, n := range slices.Sorted(slices.Values(shapes.Names())) {
			fmt.Fprintln(hash, n, strings.Trim(fmt.Sprint(shapes.Shape(n)), "[]"))
		}
		if got := fmt.Sprintf("%x", hash.Sum(nil))[:12]; got != want.digest {
			t.Errorf("%s: names or shapes differ from the reference's: %s, not %s", name, got, want.digest)
		}
	}
}

// The growths of a base follow the [distill] of the configuration that starts from it.
func TestBase(t *testing.T) {
	c, err := Parse([]byte("base = \"imagenet-128\"\nname = \"x\"\n[distill]\nbatch = 7\n[data]\nresolution = 256\n[[grow]]\nresolution = 256\nchannels = 64\nres_blocks = 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Grow) != 2 || c.Grow[0].Resolution != 128 || c.Grow[0].Batch != 7 || c.Grow[0].Lambda != 1 || c.Grow[1].Batch != 7 || c.Grow[1].LR != 8e-6 || c.Network.Channels != 192 {
		t.Errorf("%+v", c)
	}
	if _, err := Parse([]byte(`base = "imagenet-12"`)); err == nil || !strings.Contains(err.Error(), `"imagenet-128"`) {
		t.Error(err)
	}
}

// Growth trains what the released scripts do, and whatever is new: at 512 pixels
// the decoder's base has other widths from output block 4 on.
func TestTrained(t *testing.T) {
	c, err := Load("imagenet-512")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]int{{9, 16}, {9, 19}, {4, 4}} {
		if from, fresh := c.Trained(i + 1); from != want[0] || fresh != want[1] {
			t.Errorf("growth %d trains from block %d on, new from %d on; want %v", i+1, from, fresh, want)
		}
	}
	demo, err := Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	if from, fresh := demo.Trained(1); from != 2 || fresh != 4 { // the finest level is the last two of four
		t.Errorf("the demo trains from block %d on, new from %d on", from, fresh)
	}
	const grow = "base = \"imagenet-128\"\nname = \"x\"\n[data]\nresolution = 256\n[[grow]]\nresolution = 256\nchannels = 64\nres_blocks = 2\n"
	for keys, want := range map[string]string{
		"decoder_mult = [1, 1, 2]":                       "grow 2: decoder_mult has 3 widths; it needs 4",
		"activate_from = 20":                             "grow 2: activate_from is 20; the output blocks from 19 on are new",
		"activate_from = 9\ndecoder_mult = [1, 1, 2, 4]": "from 4 on are new",
		"activate_from = -1":                             "activate_from are 2 and -1",
		"decoder_mult = [1, 1, 2, 0.1]":                  "grow 2: unet: a level of",
	} {
		if _, err := Parse([]byte(grow + keys)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", keys, err, want)
		}
	}
}
