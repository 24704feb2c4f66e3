package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// teacherPickle is one of NVlabs/edm, of 8×8 grey images of three classes.
const teacherPickle = "../../convert/testdata/edm.pkl"

// smallPreset is imagenet-64 with a small network.
const smallPreset = `
base = "imagenet-64"
name = "small"
precision = "float32"
[data]
resolution = 16
classes = 2
[network]
resolution = 8
channels = 8
mult = [1, 2]
res_blocks = 1
attention = [4]
head_channels = 8
groups = 4
[invert]
batch = 4
steps = 2
[[grow]]
resolution = 16
channels = 8
res_blocks = 1
`

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o666); err != nil {
		t.Fatal(err)
	}
}

// smallWeights writes a network of smallPreset as a state_dict: the teacher, or the grown generator.
func smallWeights(t *testing.T, path string, grown bool) {
	t.Helper()
	c, err := config.Parse([]byte(smallPreset))
	if err != nil {
		t.Fatal(err)
	}
	a := c.Base()
	if grown {
		a = c.Generator(1)
	}
	shapes, err := a.WithClasses(2).Shapes()
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]checkpoint.Tensor{}
	for _, name := range shapes.Names() {
		values := make([]float32, nn.Product(shapes.Shape(name)))
		for i := range values {
			values[i] = float32(i%7-3) / 100
		}
		weights[name] = checkpoint.FromFloat32s(values, shapes.Shape(name)...)
	}
	if err := pytorch.Write(path, weights); err != nil {
		t.Fatal(err)
	}
}

// contains runs the program and looks for words in what it prints.
func contains(t *testing.T, args []string, words ...string) {
	t.Helper()
	text, err := pagodaCommand(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range words {
		if !strings.Contains(text, want) {
			t.Errorf("pagoda %v: no %q in\n%s", args, want, text)
		}
	}
}

// fails runs the program and looks for words in its error.
func fails(t *testing.T, args []string, words ...string) error {
	t.Helper()
	_, err := pagodaCommand(t, args...)
	for _, want := range words {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pagoda %v: no %q in %v", args, want, err)
		}
	}
	return err
}

func TestImportEDM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "teacher.safetensors")
	contains(t, []string{"info", teacherPickle}, "pickle, ", "8×8 EDM teacher (ADM U-Net of EDM, 5717 parameters)",
		`begin with "ema.model."`, "beside   1 tensors of sigma", "pagoda import "+teacherPickle+" teacher.safetensors")
	contains(t, []string{"import", teacherPickle, path}, "wrote "+path, "8×8 EDM teacher", "pagoda invert")
	contains(t, []string{"info", path}, "teacher, preset unknown", "averaged weights (EMA) from edm.pkl, pickle, SHA-256 ", "makes no pictures by itself", "8×8, grey", "3: 0, 1, 2", "5717 parameters, float32", "pagoda invert")
	fails(t, []string{"import", teacherPickle, path}, path+" is there already; --force writes over it")
	contains(t, []string{"import", teacherPickle, path, "--force", "--half"}, "wrote "+path)
	contains(t, []string{"info", path}, "float16")
	fails(t, []string{"import", teacherPickle, path + ".x", "--stage", "generator", "--preset", "imagenet-128"},
		"edm.pkl is a 8×8 EDM teacher", "not the ", "PaGoDA decoder of preset imagenet-128", "differs in: missing: ", "; unexpected: ")
	if _, err := os.Stat(path + ".x"); err == nil {
		t.Error("a wrong file was written")
	}
}

func TestImportAndExport(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("small.toml"), []byte(smallPreset))
	smallWeights(t, path("teacher.pt"), false)
	smallWeights(t, path("decoder.pt"), true)
	if err := fails(t, []string{"import", path("teacher.pt"), path("x"), "--preset", path("small.toml")},
		"the 8×8 EDM teacher of preset small", " and the 8×8 PaGoDA decoder of preset small", "--stage"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
	contains(t, []string{"info", path("teacher.pt")}, "an unknown ADM U-Net")
	contains(t, []string{"info", path("decoder.pt")}, "torch.save zip", "an unknown ADM U-Net, 8 channels wide, of 2 classes")
	contains(t, []string{"import", path("decoder.pt"), path("decoder.safetensors"), "--preset", path("small.toml")},
		"16×16 PaGoDA decoder of preset small", "attention heads: order flash", "pagoda sample --model "+path("decoder.safetensors"))
	contains(t, []string{"info", path("decoder.safetensors")}, "generator, preset small", "16×16, RGB, from latents of 8×8", "from decoder.pt, torch.save zip", "heads of 8 channels, order flash")
	contains(t, []string{"import", path("decoder.pt"), path("legacy.safetensors"), "--preset", path("small.toml"), "--head-order", "legacy"}, "attention heads: order legacy")
	contains(t, []string{"info", path("legacy.safetensors")}, "order legacy")
	contains(t, []string{"import", path("decoder.safetensors"), path("half.safetensors"), "--half"}, "wrote "+path("half.safetensors"))
	contains(t, []string{"info", path("half.safetensors")}, "generator, preset small", "from decoder.pt, torch.save zip", "float16")
	for _, format := range []string{"pt", "safetensors"} {
		exported := path("exported." + format)
		contains(t, []string{"export", path("decoder.safetensors"), exported, "--to", format}, "wrote "+exported)
		fails(t, []string{"export", path("decoder.safetensors"), exported, "--to", format}, "--force")
		sameWeights(t, path("decoder.pt"), exported)
	}
	if err := fails(t, []string{"export", path("decoder.safetensors"), path("x"), "--to", "onnx"}, `--to is "onnx"`); !errors.Is(err, errUsage) {
		t.Error(err)
	}
	fails(t, []string{"export", path("small.toml"), path("x")}, "small.toml is not a usable weight file")
}

// sameWeights compares the tensors of two files, to the bit.
func sameWeights(t *testing.T, a, b string) {
	t.Helper()
	open := func(path string) *pytorch.File {
		f, err := pytorch.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(a), open(b)
	if len(first.Names()) != len(second.Names()) {
		t.Errorf("%d and %d tensors", len(first.Names()), len(second.Names()))
	}
	for _, name := range first.Names() {
		x, err := first.Tensor(name)
		y, err2 := second.Tensor(name)
		if errors.Join(err, err2) != nil || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%s differs: %v, %v", name, err, err2)
		}
	}
}

// An imported teacher stands in for one that the run has trained.
func TestRunFromImportedTeacher(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	preset, run, images := filepath.Join(dir, "small.toml"), filepath.Join(dir, "run"), filepath.Join(dir, "images")
	write(t, preset, []byte(smallPreset))
	smallWeights(t, filepath.Join(dir, "teacher.pt"), false)
	for i := range 4 {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 16, 16))); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(images, fmt.Sprintf("class%d/%d.png", i%2, i)), b.Bytes())
	}
	teacher := filepath.Join(run, "teacher.safetensors")
	contains(t, []string{"import", filepath.Join(dir, "teacher.pt"), teacher, "--preset", preset, "--stage", network.Teacher}, "8×8 EDM teacher of preset small")
	contains(t, []string{"invert", "--run", run, "--preset", preset, "--data", images})
	store, err := pairs.Open(filepath.Join(run, "pairs"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if store.Len() != 8 { // with mirror images
		t.Errorf("%d pairs", store.Len())
	}
	fails(t, []string{"import", teacherPickle, teacher, "--force", "--preset", preset}, "edm.pkl is a 8×8 EDM teacher (ADM U-Net of EDM", "not the 8×8 EDM teacher of preset small (ADM U-Net, ")
}
