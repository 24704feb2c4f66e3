package data

import (
	"image"
	"image/color"
	"slices"
	"testing"
)

func TestCenterCropKeepsFlatColours(t *testing.T) {
	img := image.NewNRGBA(image.Rect(-3, 5, 60, 40)) // an origin other than 0,0
	for i := range img.Pix {
		img.Pix[i] = []uint8{200, 30, 90, 255}[i%4]
	}
	for _, resolution := range []int{1, 8, 35, 64} {
		got := CenterCrop(img, resolution, 3)
		size := resolution * resolution
		if len(got) != 3*size {
			t.Fatalf("%d values at resolution %d", len(got), resolution)
		}
		for i, v := range got {
			if want := []uint8{200, 30, 90}[i/size]; v != want {
				t.Fatalf("resolution %d: value %d of channel %d, want %d", resolution, v, i/size, want)
			}
		}
	}
}

func TestCenterCropColours(t *testing.T) {
	for name, test := range map[string]struct {
		colour color.Color
		want   []uint8 // red, green, blue, grey
	}{
		"opaque":      {color.NRGBA{255, 0, 0, 255}, []uint8{255, 0, 0, 76}},
		"transparent": {color.NRGBA{255, 0, 0, 0}, []uint8{255, 255, 255, 255}},
		"half":        {color.NRGBA{0, 0, 0, 128}, []uint8{127, 127, 127, 127}},
		"grey":        {color.Gray{77}, []uint8{77, 77, 77, 77}},
		"16 bits":     {color.NRGBA64{0xffff, 0x8080, 0, 0xffff}, []uint8{255, 128, 0, 151}},
	} {
		img := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
		img.Set(0, 0, test.colour)
		if got := append(CenterCrop(img, 1, 3), CenterCrop(img, 1, 1)...); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
