package config

import (
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
		{`optimizer = "adam"`, `optimizer = "sgd"`, `"radam"`},
		{"resolution = 16", "resolution = 24", "grow 1"},
		{"channels = 32\nmult", "channels = 30\nmult", "groups"},
		{"seed = 1", "seed = one", "seed"},
		{"mirror = true", "mirror = false", "data.mirror_classes"},
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
