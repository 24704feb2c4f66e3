package data

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func TestToImages(t *testing.T) {
	pictures := ToImages(tiny().Pixels, 2, 3, 2, 3)
	if len(pictures) != 2 || pictures[1].Bounds() != image.Rect(0, 0, 3, 2) {
		t.Fatalf("%d pictures of %v", len(pictures), pictures[1].Bounds())
	}
	if got, want := pictures[1].At(2, 1), (color.RGBA{23, 29, 35, 255}); got != want {
		t.Errorf("colour %v, want %v", got, want)
	}
	grey := ToImages([]uint8{1, 2, 3, 4}, 1, 1, 2, 2)[0]
	if got, want := grey.At(0, 1), (color.Gray{3}); got != want {
		t.Errorf("grey %v, want %v", got, want)
	}
}

func TestGrid(t *testing.T) {
	grid := Grid([]uint8{10, 20, 30}, 3, 1, 1, 1, 2, 4)
	if got, want := grid.Bounds(), image.Rect(0, 0, 2*6+2, 2*6+2); got != want {
		t.Fatalf("bounds %v, want %v", got, want)
	}
	for point, want := range map[image.Point]uint8{
		{0, 0}: 255, {1, 1}: 255, {2, 2}: 10, {5, 5}: 10, {6, 5}: 255,
		{8, 2}: 20, {11, 5}: 20, {12, 2}: 255, {2, 8}: 30, {8, 8}: 255,
	} {
		if got := grid.At(point.X, point.Y); got != (color.Gray{want}) {
			t.Errorf("at %v: %v, want %d", point, got, want)
		}
	}
	if rgb := Grid(tiny().Pixels, 2, 3, 2, 3, 2, 1); rgb.At(2, 2) != (color.RGBA{0, 6, 12, 255}) {
		t.Errorf("first pixel in colour: %v", rgb.At(2, 2))
	}
}

func TestWritePNG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grid.png")
	if err := WritePNG(path, Grid([]uint8{10, 20, 30}, 3, 1, 1, 1, 2, 4)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := img.At(8, 2); got != (color.Gray{20}) {
		t.Errorf("read back %v, want 20", got)
	}
}
