package data

import (
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// The crops of guided-diffusion's center_crop_arr under Pillow, from every
// golden file of the prefix "resize": in.img* and out.img*.crop<resolution>, HWC.
func TestGoldenCenterCrop(t *testing.T) {
	folder := os.Getenv("PAGODA_GOLDEN")
	if folder == "" {
		folder = filepath.Join("..", "testdata", "golden")
	}
	paths, err := filepath.Glob(filepath.Join(folder, "resize*.safetensors"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files resize*.safetensors in %s (%v)", folder, err)
	}
	for _, path := range paths {
		f, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		crops := 0
		for _, name := range f.Names() {
			source, resolution, ok := parseCropName(name)
			if !ok {
				continue
			}
			crops++
			in, err := f.Tensor("in." + source)
			if err != nil {
				t.Fatal(err)
			}
			out, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			got := CenterCrop(pictureHWC(in), resolution, out.Shape[2])
			want := raster{out.Shape[0], out.Shape[1], out.Shape[2], out.Data}.crop(resolution)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s differs by up to %d", path, name, largestDifference(got, want))
			}
		}
		if crops == 0 {
			t.Errorf("%s holds no crops", path)
		}
	}
}

// parseCropName takes "out.img0.crop16" apart.
func parseCropName(name string) (source string, resolution int, ok bool) {
	rest, isOut := strings.CutPrefix(name, "out.")
	source, size, isCrop := strings.Cut(rest, ".crop")
	_, err := fmt.Sscanf(size, "%d", &resolution)
	return source, resolution, isOut && isCrop && err == nil
}

func pictureHWC(t checkpoint.Tensor) image.Image {
	h, w, c := t.Shape[0], t.Shape[1], t.Shape[2]
	return ToImages(raster{h, w, c, t.Data}.planes(), 1, c, h, w)[0]
}

func largestDifference(a, b []uint8) int {
	largest := 0
	for i := range a {
		largest = max(largest, int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return largest
}

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
