package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	pictures, prepared := filepath.Join(dir, "pictures"), filepath.Join(dir, "new", "pets.safetensors")
	for i := range 12 {
		img := image.NewGray(image.Rect(0, 0, 16, 16))
		img.SetGray(i, i, color.Gray{255})
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		for _, split := range []string{"train", "test"} {
			write(t, filepath.Join(pictures, split, fmt.Sprintf("class%d/%d.png", i%2, i)), b.Bytes())
		}
	}
	want := "12 pictures of 1×16×16 in 2 classes to train on, 12 to measure against"
	contains(t, []string{"prepare", pictures, prepared, "--resolution", "16", "--channels", "1"}, want, `source = "prepared"`, prepared)
	contains(t, []string{"info", prepared}, want)
	contains(t, []string{"eval", "recon", prepared, prepared + ":train"}, "SSIM")

	fails(t, []string{"prepare", pictures, prepared, "--resolution", "16"}, "--force writes over it")
	fails(t, []string{"prepare", pictures, filepath.Join(dir, "x")}, "--resolution is missing")
	fails(t, []string{"prepare", pictures, filepath.Join(dir, "x"), "--resolution", "16", "--channels", "2"}, "1 for grey or 3")
	fails(t, []string{"prepare", filepath.Join(dir, "none"), filepath.Join(dir, "x"), "--resolution", "16"}, "none")
	text, err := pagodaCommand(t, "info", filepath.Join(pictures, "train", "class0", "0.png"))
	if err == nil || strings.Contains(text, "pictures of") {
		t.Error(text, err)
	}
}
