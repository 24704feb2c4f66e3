package data

import (
	"archive/zip"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func writeNPZ(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "samples.npz")
	images := make([]uint8, 2*3*5*1)
	for i := range images {
		images[i] = uint8(i)
	}
	if err := WriteNPZ(path, images, 2, 3, 5, 1, []int64{7, -1}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWriteNPZ(t *testing.T) {
	archive, err := zip.OpenReader(writeNPZ(t))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for name, want := range map[string]struct{ header, data string }{
		"arr_0.npy": {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 5, 1), }",
			"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d"},
		"arr_1.npy": {"{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }",
			"\x07\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"},
	} {
		file, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(content[:8]) != "\x93NUMPY\x01\x00" {
			t.Errorf("%s begins with %q", name, content[:8])
		}
		end := 10 + int(binary.LittleEndian.Uint16(content[8:]))
		header := string(content[10:end])
		if strings.TrimRight(header, " \n") != want.header || !strings.HasSuffix(header, "\n") || end%64 != 0 {
			t.Errorf("%s has the header %q up to byte %d", name, header, end)
		}
		if string(content[end:]) != want.data {
			t.Errorf("%s holds %x, want %x", name, content[end:], want.data)
		}
	}
}

func TestNumPyReadsNPZ(t *testing.T) {
	if exec.Command("python3", "-c", "import numpy").Run() != nil {
		t.Skip("needs python3 with numpy")
	}
	const script = `
import sys, numpy
f = numpy.load(sys.argv[1])
a, b = f["arr_0"], f["arr_1"]
print(a.dtype, a.shape, a[1, 2, 4, 0], b.dtype, b.tolist())`
	out, err := exec.Command("python3", "-c", script, writeNPZ(t)).CombinedOutput()
	if want := "uint8 (2, 3, 5, 1) 29 int64 [7, -1]\n"; err != nil || string(out) != want {
		t.Errorf("NumPy read %q (%v), want %q", out, err, want)
	}
}

func TestWriteNPZRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples.npz")
	if err := WriteNPZ(path, make([]uint8, 5), 1, 2, 2, 1, []int64{0}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a pixel too many: %v", err)
	}
	short := Stream(func(w io.Writer) error { _, err := w.Write([]byte{1, 2, 3}); return err })
	if err := WriteNPZ(path, short, 1, 2, 2, 1, []int64{0}); err == nil || !strings.Contains(err.Error(), "got 3 elements") {
		t.Errorf("a pixel too few: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written all the same")
	}
}
