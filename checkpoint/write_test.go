package checkpoint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// only fails the test when the folder holds anything but the named files.
func only(t *testing.T, folder string, names ...string) {
	t.Helper()
	items, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, item := range items {
		found = append(found, item.Name())
	}
	if strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("the folder holds %q, want %q", found, names)
	}
}

func writeString(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func TestWriteRefuses(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "m.safetensors")
	byteTensor := Tensor{U8, []int{1}, []byte{1}}
	for name, test := range map[string]struct {
		tensors  map[string]Tensor
		metadata map[string]string
		want     error
	}{
		"reserved name":      {map[string]Tensor{metadataName: byteTensor}, nil, ErrName},
		"name not UTF-8":     {map[string]Tensor{"\xff": byteTensor}, nil, ErrName},
		"unknown type":       {map[string]Tensor{"a": {"F128", []int{1}, []byte{1}}}, nil, ErrDType},
		"negative side":      {map[string]Tensor{"a": {U8, []int{-1}, nil}}, nil, ErrShape},
		"bytes missing":      {map[string]Tensor{"a": {F32, []int{2}, make([]byte, 4)}}, nil, ErrSize},
		"metadata not UTF-8": {nil, map[string]string{"rng": "\xff"}, ErrHeader},
		"header too large":   {nil, map[string]string{"a": strings.Repeat("x", maxHeader)}, ErrHeaderTooLarge},
	} {
		err := Write(path, test.tensors, test.metadata)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v and the path", name, err, test.want)
		}
	}
	only(t, folder)
}

func TestWriteFileAtomic(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	for _, text := range []string{"old", "new"} {
		if err := WriteFileAtomic(path, writeString(text)); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("content %q, want %q", got, text)
		}
	}
	only(t, folder, "file")
}

// A full disk shows as an error of a write: the old file stays, nothing else does.
func TestWriteFileAtomicFails(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	if err := WriteFileAtomic(path, writeString("old")); err != nil {
		t.Fatal(err)
	}
	err := WriteFileAtomic(path, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 3<<20)); err != nil {
			t.Fatal(err)
		}
		return syscall.ENOSPC
	})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
	func() {
		defer func() { recover() }()
		WriteFileAtomic(path, func(io.Writer) error { panic("a codec gives up") })
	}()
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("content %q, want the old one", got)
	}
	only(t, folder, "file")
}

func TestWriteFileAtomicNoFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "file")
	if err := WriteFileAtomic(path, writeString("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want %v", err, os.ErrNotExist)
	}
}

func TestRemoveTemporary(t *testing.T) {
	folder := t.TempDir()
	sub := filepath.Join(folder, "sub")
	if err := os.Mkdir(sub, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".pagoda-0123.tmp", "keep.tmp", "sub/.pagoda-4567.tmp", "sub/.keep"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveTemporary(folder); err != nil {
		t.Fatal(err)
	}
	only(t, folder, "keep.tmp", "sub")
	only(t, sub, ".keep")
}

func TestWriteStream(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "big.safetensors")
	layouts := map[string]Tensor{"a": {DType: U8, Shape: []int{3}}, "b": {DType: I32, Shape: []int{2}}, "c": {DType: U8, Shape: []int{1}}}
	content := map[string]string{"a": "xyz", "b": "01234567", "c": "!"}
	var asked string
	write := func(name string, w io.Writer) error {
		asked += name
		return writeString(content[name])(w)
	}
	if err := WriteStream(path, layouts, map[string]string{"k": "v"}, write); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range content {
		if got, err := f.Tensor(name); err != nil || string(got.Data) != want {
			t.Errorf("%s holds %q, want %q (%v)", name, got.Data, want, err)
		}
	}
	if asked != "bac" || f.Metadata()["k"] != "v" || !errors.Is(f.Verify(), ErrNoChecksum) {
		t.Errorf("asked for %q; metadata %v; %v", asked, f.Metadata(), f.Verify())
	}
	for _, wrong := range []string{"", "ab", "abcd"} {
		content["a"] = wrong
		if err := WriteStream(filepath.Join(folder, "wrong"), layouts, nil, write); !errors.Is(err, ErrSize) {
			t.Errorf("%q: %v, want %v", wrong, err, ErrSize)
		}
	}
	only(t, folder, "big.safetensors")
}
