package data

import (
	"errors"
	"image/png"
	"slices"
	"strings"
	"testing"
)

// Archives of EDM's dataset_tool.py have their classes in a file, and folders that mean nothing.
func TestNumberedClasses(t *testing.T) {
	content := func(labels string) map[string][]byte {
		return map[string][]byte{
			"00000/img00000000.png": encoded(t, 10, png.Encode), "00000/img00000001.png": encoded(t, 20, png.Encode),
			"00001/img00001000.png": encoded(t, 30, png.Encode), labelsFile: []byte(labels),
		}
	}
	all := `{"labels": [["00001/img00001000.png", 0], ["00000/img00000000.png", 2], ["00000/img00000001.png", 0], ["elsewhere.png", 9]]}`
	for name, open := range sources {
		_, d, err := open(t, content(all))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.Labels, []int32{2, 0, 0}) || !slices.Equal(d.ClassNames, []string{"0", "1", "2"}) {
			t.Errorf("%s: labels %v of %q", name, d.Labels, d.ClassNames)
		}
		// No classes, and nothing about classes.
		for text, want := range map[string][]int32{`{"labels": null}`: {0, 0, 0}, `{"name": "pets"}`: {0, 0, 1}} {
			if _, d, err := open(t, content(text)); err != nil || !slices.Equal(d.Labels, want) {
				t.Errorf("%s, %s: %v, %v", name, text, d, err)
			}
		}
		for labels, want := range map[string]string{
			`{"labels": [["00000/img00000000.png", 2]`:                      "unexpected end",
			`{"labels": [["00000/img00000000.png", 2]]}`:                    "no class for 00000/img00000001.png",
			strings.Replace(all, "0.png\", 0", "0.png\", [0.5, 1]", 1):      `"[0.5, 1]" is not`,
			strings.Replace(all, "1.png\", 0", "1.png\", -1", 1):            "of class -1",
			strings.Replace(all, "1.png\", 0", "1.png\", 65536", 1):         "of class 65536",
			strings.Replace(all, "1.png\", 0", "1.png\", null", 1):          `"null" is not`,
			strings.Replace(all, "1.png\", 0", "1.png\", 9999999999999", 1): "is not an image and the number of its class",
		} {
			path, _, err := open(t, content(labels))
			if !errors.Is(err, ErrLabels) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v, want %q", name, labels, err, want)
			}
		}
	}
}
