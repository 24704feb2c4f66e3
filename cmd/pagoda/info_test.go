package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
)

func TestInfoDescribesAGenerator(t *testing.T) {
	path := embeddedFile(t)
	text, err := pagodaCommand(t, "info", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"generator", "32×32, grey", "10: T-shirt/top", "float16", "pagoda sample --model " + path} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestInfoDescribesOtherWeights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.safetensors")
	weights := map[string]checkpoint.Tensor{"a": checkpoint.FromFloat32s(make([]float32, 500_000), 1000, 500)}
	if err := checkpoint.Write(path, weights, nil); err != nil {
		t.Fatal(err)
	}
	text, err := pagodaCommand(t, "info", path)
	if err != nil || !strings.Contains(text, "safetensors, 1 tensors (F32), 2.0 MB") || !strings.Contains(text, "no network of this program") {
		t.Error(text, err)
	}
}

func TestInfoTellsHowFarARunIs(t *testing.T) {
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	run, err := checkpoint.CreateRun(dir, text)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close() // a run that is training can be looked at
	if err := run.Log("teacher", c.Teacher.Images, map[string]int{}); err != nil {
		t.Fatal(err)
	}
	if err := run.Log("features", c.Features.Images/2, map[string]int{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "teacher.safetensors"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := pagodaCommand(t, "info", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"demo", "teacher       done", "50 %", "generator-32  not begun"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// What a description claims cannot crash the program that shows it.
func TestInfoRefusesImpossibleNetworks(t *testing.T) {
	const network = `"input_size": 8, "channels": 1, "model_channels": 8, "encoder_mult": [1], "decoder_mult": [1], "res_blocks": 1, "head_order": "flash", "groups": 4`
	path := filepath.Join(t.TempDir(), "x.safetensors")
	for keys, want := range map[string]string{
		`"heads": 1, "classes": -1`:       "-1 classes",
		`"head_channels": 9`:              "attention over 8 channels",
		`"heads": 1, "out_channels": 100`: "from 1 image channels to 100",
	} {
		d := map[string]string{"pagoda": `{"stage": "generator", "class_names": ["a"], "architecture": {` + network + ", " + keys + "}}"}
		if err := checkpoint.Write(path, map[string]checkpoint.Tensor{"a": checkpoint.FromFloat32s([]float32{1}, 1)}, d); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"info", path}, {"sample", "--model", path, "--out", path + ".png"}} {
			if _, err := pagodaCommand(t, command...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, want %q", command, err, want)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{"a/b.x": "a/b.x", "my model": "'my model'", "it's": `'it'\''s'`} {
		if got := quote(path); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
