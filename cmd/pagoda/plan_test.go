package main

import (
	"errors"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	text, err := pagodaCommand(t, "plan", "imagenet-512", "--batch", "8", "--gpu", "h100")
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Join(strings.Fields(text), " ") // columns are as wide as their widest
	for _, want := range []string{"teacher 295899267", "generator-512 259173411 48443619 786.6", "one H100, 989 TFLOP/s", "1.645e+21 FLOP for its 2500000000 images", "4.812e+23 FLOP for as many, 292.5 times", "64 times without its attention"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text, err = pagodaCommand(t, "plan", "imagenet-64"); err != nil || strings.Contains(text, "same network") || !strings.Contains(text, "?") {
		t.Errorf("%v: a preset that grows nowhere is compared with itself, or all images have a number:\n%s", err, text)
	}
	if text, err = pagodaCommand(t, "plan", "imagenet-64", "--images", "1281167"); err != nil || !strings.Contains(text, "2562334") || strings.Contains(text, "?") {
		t.Errorf("%v: images and their mirror images do not count:\n%s", err, text)
	}
	if _, err := pagodaCommand(t, "plan", "demo", "--gpu", "abacus"); !errors.Is(err, errUsage) {
		t.Error(err)
	}
}
