package data

import (
	"archive/zip"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func gray(w, h int, value uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = value
	}
	return img
}

func red(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.Set(i%w, i/w, color.NRGBA{200, uint8(i), 0, 255})
	}
	return img
}

// folderOf writes images under their names.
func folderOf(t *testing.T, images map[string]image.Image) string {
	t.Helper()
	folder := t.TempDir()
	for name, img := range images {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := WritePNG(path, img); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func openFiles(t *testing.T, path string) *Files {
	t.Helper()
	f, err := OpenFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFiles(t *testing.T) {
	f := openFiles(t, folderOf(t, map[string]image.Image{"b/1.png": gray(3, 2, 9), "a/2.png": red(3, 2), ".hidden.png": red(1, 1)}))
	if f.C != 3 || f.H != 2 || f.W != 3 || !slices.Equal(f.Names, []string{"a/2.png", "b/1.png"}) {
		t.Errorf("%+v", f)
	}
	want := []uint8{200, 200, 200, 200, 200, 200, 0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0}
	if got, err := f.Pixels(0); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := f.Pixels(1); err != nil || !slices.Equal(got, slices.Repeat([]uint8{9}, 18)) {
		t.Errorf("grey among colours: %v, %v", got, err)
	}
	if labels, names := f.Classes(); !slices.Equal(labels, []int{0, 1}) || !slices.Equal(names, []string{"a", "b"}) {
		t.Error(labels, names)
	}
	flat := openFiles(t, folderOf(t, map[string]image.Image{"1.png": gray(3, 2, 9), "2.png": red(3, 2), "3.png": gray(2, 2, 1)}))
	if labels, names := flat.Classes(); labels != nil || names != nil || flat.C != 1 {
		t.Error(labels, names, flat.C)
	}
	if got, err := flat.Pixels(0); err != nil || !slices.Equal(got, slices.Repeat([]uint8{9}, 6)) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := flat.Pixels(1); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "in colour") {
		t.Errorf("a colour among greys: %v", err)
	}
	if _, err := flat.Pixels(2); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "2×2 pixels, 1.png has 3×2") {
		t.Errorf("another size: %v", err)
	}
	if _, err := OpenFiles(t.TempDir()); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := OpenFiles("missing.zip"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing archive: %v", err)
	}
}

func TestFilesOfAnArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.zip")
	digests := map[string]bool{}
	for _, value := range []uint8{1, 2, 1} {
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := zip.NewWriter(file)
		part, err := w.Create("x/1.png")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(part, gray(4, 4, value)), w.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
		f := openFiles(t, path)
		if got, err := f.Pixels(0); err != nil || got[5] != value {
			t.Errorf("%v, %v", got, err)
		}
		digest, err := f.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests[digest] = true
	}
	if len(digests) != 2 {
		t.Errorf("%d digests of 2 archives", len(digests))
	}
}
