package convert

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
)

// tiny grows from 8 to 16 pixels with networks of 8 channels and more.
const tiny = `
base = "imagenet-64"
name = "tiny"
[data]
resolution = 16
classes = 3
[network]
resolution = 8
channels = 8
mult = [1, 2]
res_blocks = 1
attention = [4]
head_channels = 8
groups = 4
[[grow]]
resolution = 16
channels = 8
res_blocks = 1
`

// tinyPreset is tiny as a file.
func tinyPreset(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "tiny.toml")
	if err := os.WriteFile(path, []byte(tiny), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// shapesOf are the names and shapes of a network's tensors, below a prefix.
func shapesOf(params *nn.Params, prefix string) map[string][]int {
	shapes := map[string][]int{}
	for _, name := range params.Names() {
		shapes[prefix+name] = params.Shape(name)
	}
	return shapes
}

// fileOf is a file of tensors without content, in no format.
func fileOf(shapes map[string][]int) *File {
	f := &File{path: "x.pt", shapes: shapes, types: map[checkpoint.DType]bool{checkpoint.F32: true}}
	f.prefix, f.others = prefixes(slices.Sorted(maps.Keys(shapes)))
	return f
}

// Every network of every preset, at full size, is recognised by names and shapes
// alone; those at base resolution take the stage as well.
func TestRecognisesThePresets(t *testing.T) {
	all, err := candidates(Options{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		d := c.description
		f := fileOf(shapesOf(c.params, "state_dict."))
		n, err := f.Recognise(Options{Preset: d.Preset, Stage: d.Stage})
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		if !reflect.DeepEqual(n.Description, d) || n.Prefix != "state_dict." || n.Parameters != d.Architecture.Parameters() {
			t.Errorf("%s: taken for %+v", c, n.Description)
		}
		n, err = f.Recognise(Options{})
		switch base := d.Architecture.OutputSize() == d.Architecture.InputSize(); {
		case base && !errors.Is(err, ErrAmbiguous):
			t.Errorf("%s: recognised without a stage as %v, %v", c, n, err)
		case !base && (err != nil || !candidate{description: n.Description}.same(c)):
			t.Errorf("%s: taken for %v, %v", c, n, err)
		}
	}
	if len(all) < 20 {
		t.Errorf("only %d networks", len(all))
	}
}

// A wrong file is named, and told apart from what was asked for by a few names.
func TestWrongFile(t *testing.T) {
	preset := tinyPreset(t)
	params := func(o Options, n int) *nn.Params {
		list, err := candidates(o, 3)
		if err != nil {
			t.Fatal(err)
		}
		return list[n].params
	}
	grown := shapesOf(params(Options{Preset: preset, Stage: network.Generator}, 0), "")
	reshaped := maps.Clone(grown)
	reshaped["out.2.bias"] = []int{6}
	delete(reshaped, "out.0.bias")
	imagenet := shapesOf(params(Options{Preset: "imagenet-128", Stage: network.Generator}, 0), "")
	for _, c := range []struct {
		shapes map[string][]int
		o      Options
		want   []string
	}{
		{grown, Options{Preset: preset, Stage: network.Teacher},
			[]string{"an unknown ADM U-Net, 8 channels wide, of 3 classes", "not the 8×8 EDM teacher of preset tiny", "unexpected: output_blocks.4.0.", " and 15 more"}},
		{reshaped, Options{Preset: preset},
			[]string{"not the 16×16 PaGoDA decoder of preset tiny", "missing: out.0.bias; mis-shaped: out.2.bias is [6], not [3]"}},
		{imagenet, Options{Preset: "imagenet-64"},
			[]string{"x.pt is the 128×128 PaGoDA decoder of preset imagenet-128 (ADM U-Net, 297.6 M parameters), not the 64×64"}},
		{map[string][]int{"a": {2}, "b": {3}}, Options{}, []string{"x.pt holds 2 tensors (F32), 0.0 MB, but no network of this program"}},
	} {
		_, err := fileOf(c.shapes).Recognise(c.o)
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%v: %v", c.want, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
		if len(err.Error()) > 2500 {
			t.Errorf("%d characters: %v", len(err.Error()), err)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{`stage "student"`: {Stage: "student"}, `no preset "imagenet"`: {Preset: "imagenet"}} {
		if _, err := fileOf(nil).Recognise(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPrefix(t *testing.T) {
	for want, names := range map[string][]string{
		"":                   {"time_embed.0.bias", "input_blocks.0.0.weight"},
		"state_dict.module.": {"state_dict.module.input_blocks.0.0.weight", "epoch"},
		"ema.model.":         {"net.model.map_layer0.weight", "ema.model.map_layer0.weight"},
		"model_ema.":         {"input_blocks.0.0.weight", "model_ema.input_blocks.0.0.weight"},
		"a.":                 {"b.c.map_layer0.weight", "a.map_layer0.weight", "remap_layer0.weight"},
	} {
		if got, _ := prefixes(names); got != want {
			t.Errorf("%q: %q, not %q", names, got, want)
		}
	}
	names := []string{"ema_0.9999.input_blocks.0.0.weight", "ema_0.999.input_blocks.0.0.weight", "input_blocks.0.0.weight"}
	if got, others := prefixes(names); got != "ema_0.9999." || !slices.Equal(others, []string{"ema_0.999.", ""}) {
		t.Errorf("%q, and passed over %q", got, others)
	}
}

func TestBeside(t *testing.T) {
	f := fileOf(map[string][]int{"ema.input_blocks.0.0.weight": {1}, "ema.out.2.bias": {1}, "optimizer.0.m": {1}, "optimizer.0.v": {1}, "step": {}})
	if got := fmt.Sprint(f.Beside()); got != "map[optimizer:2 step:1]" {
		t.Error(got)
	}
}
