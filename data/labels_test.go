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
		for _, none := range []string{`{"labels": null}`, `{}`} {
			_, d, err := open(t, content(none))
			if err != nil || d.Classes() != 1 || !slices.Equal(d.Labels, []int32{0, 0, 0}) {
				t.Errorf("%s, %s: %v, %v", name, none, d, err)
			}
		}
		for labels, want := range map[string]string{
			`{"labels": [["00000/img00000000.png", 2]`:                      "unexpected end",
			`{"labels": [["00000/img00000000.png", 2]]}`:                    "no class for 00000/img00000001.png",
			strings.Replace(all, "0.png\", 0", "0.png\", [0.5, 1]", 1):      `"00001/img00001000.png", [0.5, 1] is not`,
			strings.Replace(all, "1.png\", 0", "1.png\", -1", 1):            "of class -1",
			strings.Replace(all, "1.png\", 0", "1.png\", 3", 1):             "of class 3, and there are 3 images",
			strings.Replace(all, "1.png\", 0", "1.png\", 9999999999999", 1): "is not an image and the number of its class",
		} {
			path, _, err := open(t, content(labels))
			if !errors.Is(err, ErrLabels) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v, want %q", name, labels, err, want)
			}
		}
	}
}
