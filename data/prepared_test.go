package data

import (
	"context"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// pets is a folder of two splits with two classes, one image more to train on than is decoded at a time.
func pets(t *testing.T) string {
	t.Helper()
	content := map[string][]byte{"test/cat/1.png": encoded(t, 30, png.Encode), "test/dog/1.png": encoded(t, 40, png.Encode)}
	for i := range block {
		content["train/cat/"+strings.Repeat("x", i/26)+string(rune('a'+i%26))+".png"] = encoded(t, uint8(i), png.Encode)
	}
	content["train/dog/1.png"] = encoded(t, 50, png.Encode)
	return writeFolder(t, content)
}

func prepare(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "pets.safetensors")
	last := 0
	if err := Prepare(t.Context(), from, to, 4, 3, func(done, total int) { last = total - done }); err != nil || last != 0 {
		t.Fatalf("%v, %d images left", err, last)
	}
	return to
}

// Prepared images are those of the folder and of the archive, their digest too.
func TestPrepare(t *testing.T) {
	folder := pets(t)
	prepared := prepare(t, folder)
	for split, n := range map[Split]int{Train: block + 1, Test: 2} {
		want, err := Load("folder", folder, split, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Load("prepared", prepared, split, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got.Len() != n || got.C != 3 || got.H != 4 || got.W != 4 || got.Name != "pets" || !slices.Equal(got.ClassNames, []string{"cat", "dog"}) {
			t.Errorf("%s: %d images %d×%d×%d, %q of %s", split, got.Len(), got.C, got.H, got.W, got.ClassNames, got.Name)
		}
		if !slices.Equal(got.Pixels, want.Pixels) || !slices.Equal(got.Labels, want.Labels) || got.SHA256() != want.SHA256() {
			t.Errorf("%s: the images are not those of the folder", split)
		}
		some := got.Select([]int{1, 0})
		if some.SHA256() == got.SHA256() || some.SHA256() != want.Select([]int{1, 0}).SHA256() {
			t.Errorf("%s: a part of the images has the digest of all", split)
		}
		if err := errors.Join(got.Close(), got.Close(), want.Close()); err != nil {
			t.Error(err)
		}
		if some.Image(0)[0] != want.Image(1)[0] {
			t.Errorf("%s: copies were closed with the file", split)
		}
	}
	if !IsPrepared(prepared) || IsPrepared(folder) {
		t.Error("the file is not told from a folder")
	}
}

func TestPrepareRefuses(t *testing.T) {
	good := encoded(t, 20, png.Encode)
	for name, test := range map[string]struct {
		files      map[string][]byte
		resolution int
		want       string
	}{
		"no images":     {map[string][]byte{"a/readme.txt": nil}, 4, "it has no file named"},
		"not an image":  {map[string][]byte{"a/1.png": good, "a/2.png": []byte("text")}, 4, "a/2.png"},
		"other classes": {map[string][]byte{"train/a/1.png": good, "test/b/1.png": good}, 4, `test has the classes ["b"] and`},
		"no resolution": {map[string][]byte{"a/1.png": good}, 0, "at least 1 pixel"},
	} {
		dir := t.TempDir()
		err := Prepare(t.Context(), writeFolder(t, test.files), filepath.Join(dir, "x"), test.resolution, 3, func(int, int) {})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %s is left", name, left[0].Name())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	err := Prepare(ctx, pets(t), filepath.Join(dir, "x"), 4, 3, func(int, int) { cancel() })
	if left, _ := os.ReadDir(dir); !errors.Is(err, context.Canceled) || len(left) > 0 {
		t.Errorf("stopped: %v, %d files are left", err, len(left))
	}
}

func TestOpenPreparedRefuses(t *testing.T) {
	prepared := prepare(t, writeFolder(t, map[string][]byte{"cat/1.png": encoded(t, 20, png.Encode)}))
	content, err := os.ReadFile(prepared)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.safetensors")
	for name, test := range map[string]struct {
		content []byte
		want    error
	}{
		"cut short":     {content[:len(content)-1], checkpoint.ErrOffsets},
		"another file":  {[]byte("PNG"), checkpoint.ErrTooShort},
		"an empty file": {nil, checkpoint.ErrTooShort},
	} {
		if err := os.WriteFile(bad, test.content, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPrepared(bad, Train); !errors.Is(err, test.want) || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v, want %v and the path", name, err, test.want)
		}
	}
	changed := slices.Clone(content)
	changed[len(changed)-40] ^= 1
	if err := os.WriteFile(bad, changed, 0o666); err != nil {
		t.Fatal(err)
	}
	d, err := OpenPrepared(bad, Train)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(); !errors.Is(err, ErrPrepared) {
		t.Errorf("a pixel changed: %v, want %v", err, ErrPrepared)
	}
	d.Close()
	one := []int{1}
	weights := map[string]checkpoint.Tensor{"w": {DType: checkpoint.U8, Shape: one, Data: []byte{1}}}
	for _, metadata := range []map[string]string{nil, {classesName: "[]"}} {
		if err := checkpoint.Write(bad, weights, metadata); err != nil {
			t.Fatal(err)
		}
		if d, err := OpenPrepared(bad, Train); err == nil {
			t.Errorf("weights with %v were taken for %d images", metadata, d.Len())
		}
	}
	labels := checkpoint.Tensor{DType: checkpoint.I32, Shape: one, Data: make([]byte, 4)}
	digest := checkpoint.Tensor{DType: checkpoint.U8, Shape: []int{32}, Data: make([]byte, 32)}
	for _, test := range []struct {
		shape   []int
		classes string
		usable  bool
	}{
		{[]int{1, 1, 2, 2}, `["a"]`, true},
		{[]int{1, 1, 2, 2}, `[]`, false},
		{[]int{1, 1, 4, 1}, `["a"]`, false},
		{[]int{1, 2, 2, 1}, `["a"]`, false},
		{[]int{1, 1, 0, 0}, `["a"]`, false},
		{[]int{2, 1, 1, 2}, `["a"]`, false},
		{[]int{4}, `["a"]`, false},
	} {
		n := 1
		for _, side := range test.shape {
			n *= side
		}
		images := checkpoint.Tensor{DType: checkpoint.U8, Shape: test.shape, Data: make([]byte, n)}
		tensors := map[string]checkpoint.Tensor{"train.images": images, "train.labels": labels, "train.sha256": digest}
		if err := checkpoint.Write(bad, tensors, map[string]string{classesName: test.classes}); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPrepared(bad, Train); test.usable != (err == nil) || err != nil && !errors.Is(err, ErrPrepared) {
			t.Errorf("images of %v in classes %s: %v", test.shape, test.classes, err)
		}
	}
	if _, err := Load("prepared", prepared, Test, 4, 3); err == nil || !strings.Contains(err.Error(), `no such split: "test"`) {
		t.Error(err)
	}
	if _, err := Load("folder", prepared, Train, 4, 3); err == nil || !strings.Contains(err.Error(), "set data.source") {
		t.Error(err)
	}
	if _, err := Load("prepared", "", Train, 4, 3); err == nil || !strings.Contains(err.Error(), "data.path") {
		t.Error(err)
	}
	if _, err := Load("prepared", prepared, Train, 8, 3); err == nil || !strings.Contains(err.Error(), "images of 3×4×4, the configuration asks for 3×8×8") {
		t.Error(err)
	}
}
