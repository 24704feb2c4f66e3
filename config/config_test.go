package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPresetsAreValid(t *testing.T) {
	for _, name := range Presets() {
		c, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Name != name {
			t.Errorf("preset %s calls itself %s", name, c.Name)
		}
		text, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%s does not survive encoding: %v", name, err)
		}
		if second, _ := again.Encode(); string(second) != string(text) {
			t.Errorf("%s changes when encoded and parsed", name)
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	text, err := presets.ReadFile("presets/demo.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"sigma_mean", "sigma_maen", `"teacher.sigma_mean"`},
		{"batch = 128", "batch = 0", "teacher.batch"},
		{`optimizer = "adam"`, `optimizer = "sgd"`, "teacher.optimizer"},
		{"resolution = 16", "resolution = 24", "grow 1"},
		{"groups = 8", "groups = 7", "groups"},
		{"head_channels = 32", "head_channels = 128", "network.head_channels is 128; it must divide the 64 channels of the level of 4 pixels"},
		{"head_channels = 32", "head_channels = -1", "network.head_channels"},
		{"attention = [4]", "attention = [7]", "network.attention has 7"},
		{"mean = -1.2", "mean = -1.2\nclip = -1", "teacher.clip"},
		{"seed = 1", "seed = one", "seed"},
		{"mirror = true", "mirror = false", "data.mirror_classes"},
		{"shift = 2", "shift = -1", "features.shift"},
		{"images = 0", "images = -1", "evaluator.images"},
		{"images = 16000\nbatch = 32", "images = 16000\nbatch = 0", "distill: images, batch and lr"},
		{"discriminator_lr = 2e-3", "discriminator_lr = 0", "discriminator_lr"},
		{"gain = 4", "gain = 4\nclip = -1", "distill: clip"},
		{"gain = 4", "gain = 4\ndistance = \"lpips\"", "RGB images; data.channels is 1"},
		{"gain = 4", "gain = 4\ndiscriminator = \"multiscale\"\nunconditional = true\nclass_embedding = \"a.pkl\"", `class_embedding is "a.pkl" and unconditional is set`},
		{"images = 18000", "images = 18000\nbatch = 0", "grow 1: images, batch and lr"},
		{"images = 18000", "images = 0", "grow 1: images, batch and lr"},
		{"lr = 1.5e-3", "lr = 0", "grow 1: images, batch and lr"},
		{"lr = 1.5e-3", `optimizer = "sgd"`, "grow 1: optimizer"},
		{"augment = { translation = true, fill = -1 }", "reconstruction_lambda = 0.5", "distill: reconstruction_lambda is 0.5 and augment is empty"},
		{"lr = 1.5e-3", "activate_from = -1", "grow 1: res_blocks and activate_from"},
		{"channels = 32\nres_blocks = 2\nimages = 32000", "channels = 32\nres_blocks = 1\nimages = 32000", "grow 2: res_blocks is 1 and that of grow 1 is 2"},
		{"channels = 32\nres_blocks = 2", "channels = [32, 32]\nres_blocks = 2", "grow 1: channels has 2 numbers for 1 new levels"},
		{"channels = 32\nres_blocks = 2", "channels = \"wide\"\nres_blocks = 2", "channels has wide"},
		{"channels = 32\nres_blocks = 2", "res_blocks = 2", "grow 1: channels has 0 numbers"},
		{"channels = 32\nres_blocks = 2", "channels = 0\nres_blocks = 2", "a level of 0 channels"},
		{"ema = 0.999\n", "ema = 5\n", "teacher.ema is 5"},
		{"mean = -1.2", "mean = nan", "teacher.sigma_mean is not a finite number"},
		{"std = 1.2", "std = -3", "teacher.sigma_std"},
		{"beta2 = 0.99", "beta2 = 1", "teacher.beta2 is 1"},
		{"beta1 = 0.0", "beta1 = 1", "distill: beta1 and beta2"},
		{"[invert]\nimages = ", "[invert]\nimages = -5 #", "invert.images and data.classes are -5"},
		{"classes = 10", "classes = -1", "and -1; neither may be negative"},
		{"shift = 2", "shift = 32", "features.shift"},
		{"\nresolution = 32\n", "\nresolution = 48\n", "grow 2 goes to 32 pixels, which do not divide data.resolution 48"},
		{"decay = 0.4", "decay = -1", "distill: decay is -1"},
		{"gain = 4", "gain = inf", "distill.gain is not a finite number"},
		{"lr = 1.5e-3", "lr = nan", "grow 1: lr is not a finite number"},
		{"steps = ", "steps = 1 #", "invert.steps and invert.sigma_start are 1"},
		{"sigma_start = ", "sigma_start = 100 #", "invert.steps and invert.sigma_start"},
		{"seed = 1", "seed = 1\nwatch = { every = -1 }", "watch.every"},
		{"seed = 1", "seed = 1\nwatch = { every = 100, samples = 1 }", "watch.samples"},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if changed == string(text) {
			t.Fatalf("%q is not in the preset", c.old)
		}
		if _, err := Parse([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want a mention of %s", c.new, err, c.want)
		}
	}
	if _, err := Load("dema"); err == nil || !strings.Contains(err.Error(), `"demo"`) {
		t.Error(err)
	}
}

// A configuration of one's own has a name of its own, for the folder of its runs.
func TestNames(t *testing.T) {
	for name, good := range map[string]bool{"pets": true, "": false, "..": false, "../../x": false, "a/b": false} {
		path := filepath.Join(t.TempDir(), "x.toml")
		if err := os.WriteFile(path, fmt.Appendf(nil, "base = \"demo\"\nname = %q\n", name), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); (err == nil) != good || !good && !strings.Contains(err.Error(), "config: name is") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestGrowthsInheritDistill(t *testing.T) {
	c, err := Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Grow[0]; g.Batch != c.Distill.Batch || g.Lambda == c.Distill.Lambda || g.Heads != c.Distill.Heads {
		t.Errorf("%+v does not inherit %+v", g, c.Distill)
	}
	if g := c.Generator(2); g.OutputSize() != 32 || g.ADM.Grown() != 2 {
		t.Errorf("%+v", g)
	}
}

// A growth of several levels has one width for all of them or one for each.
func TestWidthsOfGrowths(t *testing.T) {
	for channels, want := range map[string][]float64{"32": {32, 32, 1, 2}, "[16, 32]": {16, 32, 1, 2}} {
		text, err := preset("demo")
		if err != nil {
			t.Fatal(err)
		}
		below, _, _ := strings.Cut(string(text), "[[grow]]")
		c, err := Parse([]byte(below + "[[grow]]\nresolution = 32\nres_blocks = 2\nchannels = " + channels))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Generator(1).ADM.DecoderMult; !slices.Equal(got, want) {
			t.Errorf("channels = %s: levels of widths %v, want %v", channels, got, want)
		}
	}
}

// The evaluator trains as the feature network does unless it is told otherwise,
// which it must be where there is none to train.
func TestEvaluatorTraining(t *testing.T) {
	c, err := Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	c.Evaluator.Images = 5
	if e := c.EvaluatorTraining(); e != (Classifier{5, 128, 2e-3, 0.05, 2}) {
		t.Errorf("%+v", e)
	}
	text := "base = \"imagenet-64\"\n[evaluator]\nimages = 5\n"
	if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), "evaluator.batch and lr are 0 and 0") {
		t.Error(err)
	}
	if c, err = Parse([]byte(text + "batch = 2\nlr = 1e-3\n")); err != nil {
		t.Fatal(err)
	}
	if e := c.EvaluatorTraining(); e != (Classifier{Images: 5, Batch: 2, LR: 1e-3}) {
		t.Errorf("%+v", e)
	}
}

func TestShorten(t *testing.T) {
	c, err := Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	whole := *c
	whole.Grow = slices.Clone(c.Grow)
	c.Shorten(0.25, 60_000)
	for name, got := range map[string][2]int64{
		"teacher": {c.Teacher.Images, whole.Teacher.Images}, "invert": {int64(c.Invert.Images), int64(whole.Invert.Images)},
		"features": {c.Features.Images, whole.Features.Images}, "distill": {c.Distill.Images, whole.Distill.Images},
		"grow": {c.Grow[1].Images, whole.Grow[1].Images},
	} {
		if 4*got[0] != got[1] {
			t.Errorf("%s: %d images of %d", name, got[0], got[1])
		}
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	for images, want := range map[int]int{0: 50, 40: 10, 1000: 50} {
		c.Invert.Images = images
		if c.Shorten(0.25, 200); c.Invert.Images != want {
			t.Errorf("a quarter of %d of 200 pictures is %d, want %d", images, c.Invert.Images, want)
		}
	}
	if c.Shorten(1e-9, 60_000); c.Validate() == nil {
		t.Error("a run without images is valid")
	}
}
