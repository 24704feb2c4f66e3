package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/eval"
)

// grain writes n grey images of 32×32 with their classes, other ones for another seed.
func grain(t *testing.T, seed, n int) string {
	t.Helper()
	pixels, labels := make([]uint8, n*32*32), make([]int64, n)
	state := uint32(seed)
	for i := range pixels {
		state = state*1664525 + 1013904223
		pixels[i] = uint8(state >> 24)
	}
	for i := range labels {
		labels[i] = int64(i % 10)
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.npz", seed))
	if err := data.WriteNPZ(path, pixels, n, 32, 32, 1, labels); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestEvalPrintsFiguresAndProtocol(t *testing.T) {
	real := grain(t, 1, 60)
	text, err := pagodaCommand(t, "eval", "--n", "40", "--real", real, "--repeats", "2", "--seed", "5")
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, text, "Fréchet distance", "min ", "max ", "lower is better", "warning: fewer than 10000 samples", "at least about",
		"40 of the embedded model, 32×32 grey, classes in turn, seeds 5 to 6", "60 images of "+real, "sha256 ", "libtorch")

	text, err = pagodaCommand(t, "eval", "--n", "40", "--real", real, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r eval.Result
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if f := r.Figure("fd"); len(f.Values) != 1 || f.Bias == nil || !f.Bias.AtLeast || f.Bias.Seed != 1 || r.Protocol.Count != 40 || r.Protocol.Seeds[0] != 1 {
		t.Errorf("%+v of %+v", f, r.Protocol)
	}
}

func TestEvalRefIsAccepted(t *testing.T) {
	stats := filepath.Join(t.TempDir(), "stats.npz")
	text, err := pagodaCommand(t, "eval", "ref", grain(t, 1, 60), "--n", "50", "--seed", "9", "--out", stats)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, text, "wrote "+stats, "warning: 50 images for 128 features", "50 of ", "drawn at random from 60, seed 9", "network float32", "libtorch")
	text, err = pagodaCommand(t, "eval", grain(t, 2, 40), "--real", stats)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, text, "Fréchet distance", "mean and covariance of 50 images, from "+stats, "drawn at random from 60, seed 9")
	text, err = pagodaCommand(t, "eval", "ref", embeddedFile(t), "--n", "20", "--seed", "3", "--precision", "float32", "--out", stats)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, text, "seed 3, made in float32")
}

func TestEvalRecon(t *testing.T) {
	text, err := pagodaCommand(t, "eval", "recon", grain(t, 1, 20), grain(t, 2, 20), "--variants")
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, text, "PSNR in dB", "SSIM, Gaussian", "PSNR of batches", "20 of ", "32×32 grey", "8-bit images; float64; libtorch")
	text, err = pagodaCommand(t, "eval", "recon", grain(t, 1, 20), grain(t, 2, 20), "--json")
	var r eval.Result
	if err != nil || json.Unmarshal([]byte(text), &r) != nil || r.Protocol.Real.Count != 20 || r.Protocol.Engine == "" || len(r.Figures) != 2 {
		t.Error(text, err)
	}
}

func TestEvalRefuses(t *testing.T) {
	few := grain(t, 1, 20)
	for _, c := range []struct {
		part string
		args []string
	}{
		{"--out names the file", []string{"ref", few}},
		{"accepts 1 arg", []string{"ref"}},
		{"--device", []string{few, "--device", "gpu"}},
		{"no feature network \"x\"", []string{few, "--features", "x"}},
		{"has 20 images, 30 were asked for", []string{few, "--real", few, "--n", "30"}},
		{"not a source of images", []string{"missing"}},
		{"no reconstructions", []string{"recon", few, embeddedFile(t)}},
		{"holds no run", []string{"recon", t.TempDir()}},
		{"between 1 and 2", []string{"recon"}},
	} {
		_, err := pagodaCommand(t, append([]string{"eval"}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", c.args, err, c.part)
		}
	}
}

// A sheet that cannot be written is an error, before the work where that can be known, else below the figures.
func TestEvalSheetFails(t *testing.T) {
	few, folder := grain(t, 1, 60), t.TempDir()
	fails(t, []string{"eval", few, "--real", few, "--sheet", few}, "no folder for the sheet")
	write(t, filepath.Join(folder, eval.SheetPicture, "x"), nil)
	text, err := pagodaCommand(t, "eval", few, "--real", few, "--sheet", folder)
	if err == nil || !strings.Contains(err.Error(), "no sheet: ") {
		t.Error(err)
	}
	wantText(t, text, "Fréchet distance")
}

// Ctrl-C says how to go on.
func TestEvalStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := root()
	c.SetOut(new(strings.Builder))
	cache := t.TempDir()
	c.SetArgs([]string{"eval", "--n", "10", "--real", grain(t, 1, 20), "--cache", cache})
	err := c.ExecuteContext(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), cache) {
		t.Error(err)
	}
}
