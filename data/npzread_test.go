package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openNPZ(t *testing.T, path string) *NPZ {
	t.Helper()
	z, err := OpenNPZ(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	return z
}

func openArray(t *testing.T, z *NPZ, name string) *NPY {
	t.Helper()
	a, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func TestNPZRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	images := []uint8{1, 2, 3, 4, 5, 6}
	if err := WriteArrays(path,
		Array{"arr_0", []int{3, 1, 2, 1}, images}, Array{"labels", []int{2}, []int64{-7, 1 << 40}},
		Array{"mu", []int{3}, []float64{1.5, -2, math.Pi}}, Array{"sigma", []int{1, 2}, []float32{0.25, 3}},
		Array{"network", nil, "Größe"}); err != nil {
		t.Fatal(err)
	}
	z := openNPZ(t, path)
	if want := []string{"arr_0", "labels", "mu", "sigma", "network"}; !slices.Equal(z.Names(), want) || z.Has("arr_1") {
		t.Errorf("arrays %v, want %v", z.Names(), want)
	}
	a := openArray(t, z, "arr_0")
	part := make([]uint8, 2)
	for i := range 3 {
		if err := a.Uint8s(part); err != nil || !slices.Equal(part, images[2*i:2*i+2]) {
			t.Errorf("image %d is %v, %v", i, part, err)
		}
	}
	if err := a.Uint8s(part); !errors.Is(err, ErrNPY) {
		t.Errorf("reading on: %v", err)
	}
	if !slices.Equal(a.Shape, []int{3, 1, 2, 1}) || a.Checksum == 0 {
		t.Errorf("shape %v, checksum %d", a.Shape, a.Checksum)
	}
	for name, want := range map[string][]float64{
		"labels": {-7, 1 << 40}, "mu": {1.5, -2, math.Pi}, "sigma": {0.25, 3}, "arr_0": {1, 2, 3, 4, 5, 6},
	} {
		if got, err := openArray(t, z, name).Float64s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v (%v), want %v", name, got, err, want)
		}
	}
	if text, err := openArray(t, z, "network").Text(); err != nil || text != "Größe" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := openArray(t, z, "mu").Text(); !errors.Is(err, ErrNPY) {
		t.Errorf("numbers as text: %v", err)
	}
	if err := openArray(t, z, "mu").Uint8s(part); !errors.Is(err, ErrNPY) {
		t.Errorf("floats as bytes: %v", err)
	}
	if _, err := openArray(t, z, "network").Float64s(); !errors.Is(err, ErrNPY) {
		t.Errorf("text as numbers: %v", err)
	}
	if _, err := z.Open("sigma_s"); err == nil || !strings.Contains(err.Error(), "no array sigma_s, but arr_0") {
		t.Error(err)
	}
}

// What NumPy writes is read, and what is written here NumPy reads.
func TestNumPyAndBack(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import numpy").Run() != nil {
		t.Skip("needs python3 with numpy")
	}
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.npz"), filepath.Join(folder, "out.npz")
	if err := WriteArrays(in, Array{"mu", []int{2}, []float64{1, 2}}, Array{"network", nil, "né"}); err != nil {
		t.Fatal(err)
	}
	const script = `
import sys, numpy as np
f = np.load(sys.argv[1])
assert f["mu"].dtype == np.float64 and f["mu"].tolist() == [1, 2] and str(f["network"]) == "né"
np.savez_compressed(sys.argv[2], f2=np.array([[1, 2.5]], np.float16), f4=np.float32(3), f8=np.arange(3.0), i4=np.array([-1], np.int32),
  fortran=np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)), bytes=np.asfortranarray(np.eye(2, dtype=np.uint8)), big=np.arange(2).astype(">f8"), line=np.asfortranarray(np.arange(2.0)), none=np.zeros((0, 3)))`
	if text, err := exec.Command("/usr/bin/python3", "-c", script, in, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	z := openNPZ(t, out)
	var upTo24 []float64
	for i := range 24 {
		upTo24 = append(upTo24, float64(i))
	}
	for name, want := range map[string][]float64{"f2": {1, 2.5}, "f4": {3}, "f8": {0, 1, 2}, "i4": {-1}, "line": {0, 1}, "none": nil, "fortran": upTo24} {
		if got, err := openArray(t, z, name).Float64s(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %v (%v), want %v", name, got, err, want)
		}
	}
	if err := openArray(t, z, "bytes").Uint8s(make([]uint8, 2)); err == nil || !strings.Contains(err.Error(), "ascontiguousarray") {
		t.Error(err)
	}
	if _, err := openArray(t, z, "big").Float64s(); !errors.Is(err, ErrNPY) {
		t.Errorf("big-endian numbers: %v", err)
	}
}

// Column by column: the transposed matrix of NumPy's sigma.T.
func TestFortranOrder(t *testing.T) {
	var c bytes.Buffer
	if err := (Array{"", []int{2, 3}, []float64{0, 3, 1, 4, 2, 5}}).write(&c); err != nil {
		t.Fatal(err)
	}
	a, err := newNPY(bytes.NewReader(bytes.Replace(bytes.Replace(c.Bytes(), []byte("False"), []byte("True"), 1), []byte("\n"), []byte(" \n"), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Float64s(); err != nil || !slices.Equal(got, []float64{0, 1, 2, 3, 4, 5}) {
		t.Error(got, err)
	}
}

func TestNPZRefuses(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "x.npz")
	if _, err := OpenNPZ(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	header := func(text string) string { return npyMagic + "\x01\x00" + string(rune(len(text))) + "\x00" + text }
	const good = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n"
	for name, content := range map[string]string{
		"empty": "", "no array": "hello, world", "cut header": header(good)[:20], "version 9": npyMagic + "\x09\x00\x00\x00\x00\x00",
		"no dictionary": header("[]"), "objects": header(strings.Replace(good, "<f8", "|O", 1)),
		"negative":   header(strings.Replace(good, "2,", "-2,", 1)),
		"too large":  header(strings.Replace(good, "2,", "1099511627776, 1099511627776", 1)),
		"cut":        header(good) + "123456789012345",
		"much":       header(strings.Replace(good, "2,", "1000000000000,", 1)),
		"many bytes": npyMagic + "\x02\x00\xff\xff\xff\xff",
	} {
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		f, err := w.Create("a.npy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, archive.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		a, err := openNPZ(t, path).Open("a")
		if err == nil {
			_, err = a.Float64s()
		}
		if !errors.Is(err, ErrNPY) {
			t.Errorf("%s: %v, want %v", name, err, ErrNPY)
		}
	}
	if err := WriteArrays(path, Array{"a", nil, []int{1}}); err == nil || !strings.Contains(err.Error(), "[]int") {
		t.Error(err)
	}
}

func FuzzNPY(f *testing.F) {
	var good bytes.Buffer
	if err := (Array{"", []int{2, 1}, []float64{1, 2}}).write(&good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte(npyMagic + "\x03\x00\x01\x00\x00\x00{"))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := newNPY(bytes.NewReader(content))
		if err != nil {
			return
		}
		if values, err := a.Float64s(); err == nil && len(values) != a.Len() {
			t.Errorf("%d elements for %v", len(values), a.Shape)
		}
	})
}
