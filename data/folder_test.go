package data

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"errors"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// encoded returns a 6×4 image of one grey value in a file format.
func encoded(t *testing.T, value uint8, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 6, 4))
	for i := range img.Pix {
		img.Pix[i] = value
	}
	var file bytes.Buffer
	if err := encode(&file, img); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// files returns a small data set: three classes, every format, and files to be left out.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	webp, err := base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"dog/2.png":       encoded(t, 20, png.Encode),
		"dog/10.JPG":      encoded(t, 10, func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }),
		"cat/a.gif":       encoded(t, 30, func(w io.Writer, m image.Image) error { return gif.Encode(w, m, nil) }),
		"cat/b.bmp":       encoded(t, 40, bmp.Encode),
		"cat/c.tif":       encoded(t, 50, func(w io.Writer, m image.Image) error { return tiff.Encode(w, m, nil) }),
		"bird/x.webp":     webp,
		"bird/._x.webp":   []byte("left by a Mac"),
		"bird/notes.txt":  []byte("not an image"),
		".cache/half.png": []byte("hidden"),
	}
}

// A decoder's panic is the file's fault, not the program's.
func TestPanickingDecoder(t *testing.T) {
	image.RegisterFormat("panicking", "panic", func(io.Reader) (image.Image, error) { panic("index out of range") },
		func(io.Reader) (image.Config, error) { return image.Config{Width: 1, Height: 1}, nil })
	dir := writeFolder(t, map[string][]byte{"a/1.png": []byte("panic")})
	if _, err := Load("folder", dir, Train, 4, 1); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "a/1.png: its decoder failed: index") {
		t.Error(err)
	}
}

func writeFolder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pets")
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeZip(t *testing.T, files map[string][]byte) string {
	t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pets.zip")
	if err := os.WriteFile(path, archive.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// sources are the two ways in, to be tested alike.
var sources = map[string]func(t *testing.T, files map[string][]byte) (path string, d *Dataset, err error){
	"folder": func(t *testing.T, files map[string][]byte) (string, *Dataset, error) {
		path := writeFolder(t, files)
		d, err := Load("folder", path, Train, 2, 1)
		return path, d, err
	},
	"zip": func(t *testing.T, files map[string][]byte) (string, *Dataset, error) {
		path := writeZip(t, files)
		d, err := Load("zip", path, Train, 2, 1)
		return path, d, err
	},
}

func TestOpenImages(t *testing.T) {
	for name, open := range sources {
		t.Run(name, func(t *testing.T) {
			_, d, err := open(t, files(t))
			if err != nil {
				t.Fatal(err)
			}
			if d.Name != "pets" || d.C != 1 || d.H != 2 || d.W != 2 {
				t.Errorf("%q, images of %d×%d×%d", d.Name, d.C, d.H, d.W)
			}
			if !slices.Equal(d.ClassNames, []string{"bird", "cat", "dog"}) || !slices.Equal(d.Labels, []int32{0, 1, 1, 1, 2, 2}) {
				t.Errorf("classes %q, labels %v", d.ClassNames, d.Labels)
			}
			for i, want := range []uint8{30, 40, 50, 10, 20} {
				if got := d.Image(1 + i); !slices.Equal(got, []uint8{want, want, want, want}) {
					t.Errorf("image %d is %v, want %d", 1+i, got, want)
				}
			}
		})
	}
}

func TestOpenImagesRGB(t *testing.T) {
	d, err := Load("folder", writeFolder(t, map[string][]byte{"x.png": encoded(t, 20, png.Encode)}), Train, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Pixels) != 12 || slices.Max(d.Pixels) != 20 || !slices.Equal(d.ClassNames, []string{"."}) {
		t.Errorf("%v, classes %q", d.Pixels, d.ClassNames)
	}
}

// Links to folders are followed, and no image is listed twice for a link that leads in circles.
func TestLinkedFolders(t *testing.T) {
	elsewhere := writeFolder(t, map[string][]byte{"1.png": encoded(t, 20, png.Encode)})
	dir := writeFolder(t, map[string][]byte{"cat/2.png": encoded(t, 30, png.Encode)})
	for name, target := range map[string]string{"dog": elsewhere, "cat/circle": "..", "cat/3.png": "2.png", ".hidden": elsewhere} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Load("folder", dir, Train, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.ClassNames, []string{"cat", "dog"}) || !slices.Equal(d.Labels, []int32{0, 0, 1}) || d.Pixels[8] != 20 {
		t.Errorf("classes %q, labels %v, %v", d.ClassNames, d.Labels, d.Pixels)
	}
	if err := os.Symlink("gone", filepath.Join(dir, "bird")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load("folder", dir, Train, 2, 1); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "bird") {
		t.Errorf("a link to nothing: %v", err)
	}
}

// A folder and an archive have the same splits.
func TestLoadSplits(t *testing.T) {
	split := map[string][]byte{"train/dog/1.png": encoded(t, 10, png.Encode), "train/cat/1.png": encoded(t, 20, png.Encode), "test/cat/1.png": encoded(t, 30, png.Encode)}
	whole := map[string][]byte{"cat/1.png": encoded(t, 40, png.Encode)}
	for source, write := range map[string]func(*testing.T, map[string][]byte) string{"folder": writeFolder, "zip": writeZip} {
		path := write(t, split)
		train, err := Load(source, path, Train, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		test, err := Load(source, path, Test, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(train.ClassNames, []string{"cat", "dog"}) || train.Pixels[0] != 20 || !slices.Equal(test.ClassNames, []string{"cat"}) || test.Pixels[0] != 30 {
			t.Errorf("%s: classes %q and %q, %v and %v", source, train.ClassNames, test.ClassNames, train.Pixels, test.Pixels)
		}
		path = write(t, whole)
		if d, err := Load(source, path, Train, 2, 1); err != nil || !slices.Equal(d.ClassNames, []string{"cat"}) {
			t.Errorf("%s without splits: %v, %v", source, d, err)
		}
		if _, err := Load(source, path, Test, 2, 1); err == nil || !strings.Contains(err.Error(), path+` has no folder "test"`) {
			t.Errorf("%s without splits: %v", source, err)
		}
	}
}

// hugePNG is the beginning of a PNG file that claims 10¹⁰ pixels.
func hugePNG() []byte {
	chunk := []byte("IHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00")
	sum := crc32.ChecksumIEEE(chunk)
	file := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
	return append(file, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

func TestOpenImagesRefuses(t *testing.T) {
	good := encoded(t, 20, png.Encode)
	for name, open := range sources {
		for reason, test := range map[string]struct {
			files map[string][]byte
			want  error
			names string
		}{
			"no images":    {map[string][]byte{"a/readme.txt": nil}, ErrEmpty, ""},
			"not an image": {map[string][]byte{"a/1.png": good, "a/2.png": []byte("text")}, ErrImage, "a/2.png"},
			"cut short":    {map[string][]byte{"a/1.png": good[:len(good)-20]}, ErrImage, "a/1.png"},
			"absurd size":  {map[string][]byte{"a/1.png": hugePNG()}, ErrImage, "a/1.png has 100000×100000 pixels"},
		} {
			path, _, err := open(t, test.files)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.names) {
				t.Errorf("%s, %s: %v, want %v with the path", name, reason, err, test.want)
			}
		}
	}
	dir := writeFolder(t, map[string][]byte{"a/1.png": good})
	if _, err := Load("folder", dir, Train, 8, 4); err == nil {
		t.Error("4 channels were accepted")
	}
	if _, err := Load("folder", filepath.Join(dir, "none"), Train, 8, 3); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v, want %v", err, os.ErrNotExist)
	}
	for path, want := range map[string]string{"none": "no folder", "a/1.png": "1.png is not a folder"} {
		if _, err := Load("folder", filepath.Join(dir, path), Train, 8, 3); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "data.path") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := Load("zip", filepath.Join(dir, "a/1.png"), Train, 8, 3); !errors.Is(err, zip.ErrFormat) {
		t.Errorf("not a zip archive: %v, want %v", err, zip.ErrFormat)
	}
}
