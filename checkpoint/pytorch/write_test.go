package pytorch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// example has a tensor of every type that PyTorch has a storage class for.
func example() map[string]checkpoint.Tensor {
	tensors := map[string]checkpoint.Tensor{
		"out.0.weight": checkpoint.FromFloat32s([]float32{1, -2, 3.5, 4, 5, 6}, 2, 3),
		"step":         {DType: checkpoint.I64, Data: binary.LittleEndian.AppendUint64(nil, 7)},
		"empty":        {DType: checkpoint.F16, Shape: []int{0, 4}},
		"<ünï>\"\n":    {DType: checkpoint.U8, Shape: []int{1}, Data: []byte{9}},
	}
	for _, dtype := range storageTypes {
		size := dtype.Size()
		tensors["type."+string(dtype)] = checkpoint.Tensor{DType: dtype, Shape: []int{1, 2, 1}, Data: bytes.Repeat([]byte{1}, 2*size)}
	}
	return tensors
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.pt")
	tensors := example()
	if err := Write(path, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Format() != Zip || len(f.Names()) != len(tensors) {
		t.Errorf("%q with %q", f.Format(), f.Names())
	}
	for name, want := range tensors {
		got, err := f.Tensor(name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%q: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// written.pt is this example as torch.load(weights_only=True) of PyTorch 1.13 was
// seen to read it: an OrderedDict of the same names, types, shapes and elements.
// Should Write change, let PyTorch read its new output before replacing the file.
func TestWriteAsPyTorchRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.pt")
	if err := Write(path, example()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "written.pt"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes differ from the %d of testdata/written.pt, %v", len(got), len(want), err)
	}
}

func TestWriteAligns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.pt")
	if err := Write(path, example()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at := bytes.Index(file, example()["out.0.weight"].Data); at < 0 || at%64 != 0 {
		t.Errorf("a tensor begins at byte %d", at)
	}
}

func TestWriteRefuses(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "model.pt")
	for name, test := range map[string]struct {
		tensor checkpoint.Tensor
		want   error
	}{
		"a":                       {checkpoint.Tensor{DType: "F128", Shape: []int{1}, Data: []byte{1}}, checkpoint.ErrDType},
		"b":                       {checkpoint.Tensor{DType: checkpoint.F8E4M3, Shape: []int{1}, Data: []byte{1}}, checkpoint.ErrDType},
		"c":                       {checkpoint.Tensor{DType: checkpoint.U8, Shape: []int{-1}}, checkpoint.ErrShape},
		"d":                       {checkpoint.Tensor{DType: checkpoint.U8, Shape: []int{1 << 40, 1 << 40}}, checkpoint.ErrShape},
		"e":                       {checkpoint.Tensor{DType: checkpoint.F32, Shape: []int{2}, Data: make([]byte, 4)}, checkpoint.ErrSize},
		"\xff":                    {checkpoint.FromFloat32s([]float32{1}, 1), ErrName},
		strings.Repeat("a", 2000): {checkpoint.FromFloat32s([]float32{1}, 1), ErrName},
	} {
		err := Write(path, map[string]checkpoint.Tensor{name: test.tensor})
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.10q: %v, want %v and the path", name, err, test.want)
		}
	}
	if items, _ := os.ReadDir(folder); len(items) != 0 {
		t.Errorf("%v is left", items)
	}
}

// Reading takes memory for the names, not for the tensors, also where these are
// bytes objects of a pickle.
func TestMemory(t *testing.T) {
	const size = 64 << 20
	folder := t.TempDir()
	zipPath := filepath.Join(folder, "large.pt")
	if err := Write(zipPath, map[string]checkpoint.Tensor{"x": {DType: checkpoint.F32, Shape: []int{size / 4}, Data: make([]byte, size)}}); err != nil {
		t.Fatal(err)
	}
	inner := legacyOf(storageOf("FloatStorage", "0", size/4, "N"), "]"+text("0")+"a", length(size/4))
	inner = append(inner, make([]byte, size)...)
	pickle := pickled(dict(text("x"), call(rebuild, call("torch.storage\n_load_from_bytes", bytesObject(inner)),
		integer(0), integers(size/4), integers(1), "\x89", "N")))
	picklePath := filepath.Join(folder, "large.pkl")
	if err := os.WriteFile(picklePath, pickle, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{zipPath, picklePath} {
		before := allocated()
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tensor, err := f.Tensor("x")
		if err != nil || len(tensor.Data) != size {
			t.Fatalf("%d bytes, %v", len(tensor.Data), err)
		}
		if got := allocated() - before; got > 1<<20 {
			t.Errorf("%s: reading allocated %d bytes", filepath.Base(path), got)
		}
	}
}
