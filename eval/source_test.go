package eval

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/data"
)

func open(t *testing.T, name string) Source {
	t.Helper()
	source, err := Open(name, Generation{Seed: 7})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, source.Close()) })
	return source
}

// The same images come out of every kind of file, in any ranges.
func TestSourcesAgree(t *testing.T) {
	const n, size = 11, 6
	for _, c := range []int{1, 3} {
		pixels := noise(1, n, c, size)
		for kind, name := range map[string]string{
			"arrays": writeArchive(t, pixels, n, c, size), "zip": writeZip(t, pixels, n, c, size),
		} {
			source := open(t, name)
			info := source.Info()
			if info.N != n || info.C != c || info.H != size || info.W != size || info.Digest == "" || info.Name != name {
				t.Errorf("%s: %+v", kind, info)
			}
			for _, r := range [][2]int{{0, n}, {0, 3}, {3, 4}, {9, 2}, {1, 1}, {5, 0}} {
				got, labels, err := source.Read(t.Context(), r[0], r[1])
				fatal(t, err)
				if want := pixels[r[0]*info.bytes():][:r[1]*info.bytes()]; !slices.Equal(got, want) {
					t.Errorf("%s: images %d and the %d after it differ", kind, r[0], r[1])
				}
				if kind == "arrays" && r[1] > 0 && labels[0] != r[0]%2 {
					t.Errorf("labels %v from %d on", labels, r[0])
				}
			}
			_, _, err := source.Read(t.Context(), 5, n)
			wantError(t, err, "has 11 images, 16 were asked for")
		}
		folder := open(t, writeFolder(t, pixels, n, c, size))
		got, labels, err := folder.Read(t.Context(), 5, 2) // the last of the six dark ones, the first light one
		fatal(t, err)
		size := folder.Info().bytes()
		if !slices.Equal(got, slices.Concat(pixels[10*size:11*size], pixels[1*size:2*size])) || !slices.Equal(labels, []int{0, 1}) {
			t.Errorf("folder: labels %v or images differ", labels)
		}
	}
}

func TestModelSource(t *testing.T) {
	model := open(t, "")
	info := model.Info()
	if info.N != 0 || info.C != 1 || info.H != 32 || len(info.Classes) != 10 || info.Model == nil || info.Model.SHA256 != info.Digest || info.Model.Kind != "EMA" {
		t.Errorf("%+v", info)
	}
	whole, labels, err := model.Read(t.Context(), 0, 20)
	fatal(t, err)
	part, some, err := model.Read(t.Context(), 13, 7)
	fatal(t, err)
	if !slices.Equal(part, whole[13*info.bytes():]) || !slices.Equal(some, labels[13:]) || labels[12] != 2 {
		t.Errorf("labels %v and %v, or images differ", labels, some)
	}
	other, _, err := model.(seeded).withSeed(8).Read(t.Context(), 0, 1)
	fatal(t, err)
	if slices.Equal(other, whole[:info.bytes()]) {
		t.Error("two seeds give the same image")
	}
}

func TestFashionSource(t *testing.T) {
	source, err := Open("fashion-mnist", Generation{})
	if errors.Is(err, data.ErrNotInstalled) {
		t.Skip(err)
	}
	fatal(t, err)
	if info := source.Info(); info.N != 10_000 || info.H != 32 || info.Name != "fashion-mnist, test split" || info.Resize != "28×28 padded with black to 32×32" {
		t.Errorf("%+v", info)
	}
	if train := open(t, "fashion-mnist:train").Info(); train.N != 60_000 {
		t.Errorf("%+v", train)
	}
	_, err = Open("fashion-mnist:valid", Generation{})
	wantError(t, err, "the splits test and train, not \"valid\"")
}

// Real images come down to the samples' size by averaging, and only by whole factors.
func TestSameSize(t *testing.T) {
	pixels := []uint8{0, 10, 20, 30, 1, 11, 21, 32, 5, 5, 5, 5, 5, 5, 6, 6}
	source := open(t, writeArchive(t, pixels, 1, 1, 4))
	reduced, err := sameSize(source, SourceInfo{Name: "x", H: 2, W: 2})
	fatal(t, err)
	got, labels, err := reduced.Read(t.Context(), 0, 1)
	fatal(t, err)
	if !slices.Equal(got, []uint8{6, 26, 5, 6}) || len(labels) != 1 { // 5.5, 25.75, 5, 5.5
		t.Errorf("%v, %v", got, labels)
	}
	if info := reduced.Info(); info.H != 2 || info.Resize != "4×4 reduced to 2×2 by averaging areas" {
		t.Errorf("%+v", info)
	}
	if same, err := sameSize(source, SourceInfo{H: 4, W: 4}); err != nil || same != source {
		t.Error(same, err)
	}
	for _, wrong := range [][2]int{{3, 3}, {8, 8}, {2, 4}} {
		_, err = sameSize(source, SourceInfo{Name: "x", H: wrong[0], W: wrong[1]})
		wantError(t, err, "are 4×4, those of x", "bring them to one size")
	}
}

func TestBadSources(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, arrays ...data.Array) string {
		path := filepath.Join(folder, name)
		fatal(t, data.WriteArrays(path, arrays...))
		return path
	}
	text := filepath.Join(folder, "x.txt")
	fatal(t, os.WriteFile(text, []byte("no zip"), 0o666))
	broken := filepath.Join(folder, "x.zip")
	fatal(t, os.WriteFile(broken, []byte("no zip"), 0o666))
	mixed := writeFolder(t, noise(1, 2, 1, 4), 2, 1, 4)
	fatal(t, os.Rename(filepath.Join(writeFolder(t, noise(1, 1, 1, 5), 1, 1, 5), "dark", "000.png"), filepath.Join(mixed, "z.png")))
	for name, part := range map[string]string{
		filepath.Join(folder, "missing.npz"): "no such file",
		text:                                 "no .safetensors, .zip or .npz file",
		broken:                               "not a valid zip",
		t.TempDir():                          "no file named *.png",
		write("stats.npz", data.Array{Name: "mu", Shape: []int{1}, Elements: []float64{1}}):                   "no array arr_0, but mu",
		write("floats.npz", data.Array{Name: "arr_0", Shape: []int{1, 1, 1, 1}, Elements: []float32{1}}):      "images are (N,H,W,1 or 3) of bytes",
		write("planes.npz", data.Array{Name: "arr_0", Shape: []int{1, 3, 2, 2}, Elements: make([]uint8, 12)}): "[1 3 2 2] of |u1",
		write("none.npz", data.Array{Name: "arr_0", Shape: []int{0, 2, 2, 1}, Elements: []uint8{}}):           "holds no images",
		write("labels.npz", data.Array{Name: "arr_0", Shape: []int{2, 1, 1, 1}, Elements: []uint8{1, 2}},
			data.Array{Name: "arr_1", Shape: []int{1}, Elements: []int64{1}}): "1 labels for 2 images",
		filepath.Join(folder, "missing.safetensors"): "no such file",
	} {
		_, err := Open(name, Generation{})
		wantError(t, err, part)
	}
	source := open(t, mixed)
	_, _, err := source.Read(t.Context(), 0, 3)
	wantError(t, err, "5×5 pixels", "one size")
}

// Some images of a folder that is sorted by class are some of every class.
func TestSubset(t *testing.T) {
	const n = 60
	pixels := noise(1, n, 1, 8)
	name := writeFolder(t, pixels, n, 1, 8)
	source := open(t, name)
	all, _, err := source.Read(t.Context(), 0, n)
	fatal(t, err)
	some, err := subset(source, 20, 3)
	fatal(t, err)
	got, labels, err := some.Read(t.Context(), 0, 20)
	fatal(t, err)
	light := 0
	for i, at := range some.(*subsetSource).chosen {
		if !slices.Equal(got[i*64:(i+1)*64], all[at*64:(at+1)*64]) || labels[i] != at/30 {
			t.Errorf("image %d is not %d", i, at)
		}
		light += labels[i]
	}
	if light < 4 || light > 16 {
		t.Errorf("%d of 20 are light", light)
	}
	other, err := subset(source, 20, 4)
	fatal(t, err)
	a, b := some.Info(), other.Info()
	if a.N != 20 || a.Digest == b.Digest || a.Digest == source.Info().Digest || a.Subset != "drawn at random from 60, seed 3" {
		t.Errorf("%+v", a)
	}
	whole, err := subset(source, n, 3)
	fatal(t, err)
	if whole != source {
		t.Error("all of them are a choice")
	}
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: name, Real: name, N: 20, Generation: Generation{Seed: 3}, Repeats: 1})
	fatal(t, err)
	if text := r.Protocol.Lines()[0].Text; !strings.Contains(text, a.Subset) {
		t.Error(text)
	}
}
