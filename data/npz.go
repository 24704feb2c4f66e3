package data

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// WriteNPZ writes images (n,h,w,c) and their n labels, atomically, as the
// arrays arr_0 (uint8) and arr_1 (int64) of a NumPy archive: what the
// evaluation script of guided-diffusion reads.
func WriteNPZ(path string, images []uint8, n, h, w, c int, labels []int64) error {
	if len(images) != n*h*w*c || len(labels) != n {
		return fmt.Errorf("cannot write %s: %d pixels and %d labels do not make %d images of %d×%d×%d", path, len(images), len(labels), n, h, w, c)
	}
	return checkpoint.WriteFileAtomic(path, func(file io.Writer) error {
		archive := zip.NewWriter(file)
		if err := addArray(archive, "arr_0.npy", "|u1", fmt.Sprintf("(%d, %d, %d, %d)", n, h, w, c), images); err != nil {
			return err
		}
		var encoded []byte
		for _, label := range labels {
			encoded = binary.LittleEndian.AppendUint64(encoded, uint64(label))
		}
		if err := addArray(archive, "arr_1.npy", "<i8", fmt.Sprintf("(%d,)", n), encoded); err != nil {
			return err
		}
		return archive.Close()
	})
}

// addArray adds an array in NumPy's format 1.0: a magic string, the version,
// the length of a Python dictionary, that dictionary padded so that the data
// begin at a multiple of 64 bytes, and the data. As with numpy.savez nothing
// is compressed.
func addArray(archive *zip.Writer, name, descr, shape string, data []byte) error {
	w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	const magic = "\x93NUMPY\x01\x00"
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
	before := len(magic) + 2 + len(header) + 1
	header += strings.Repeat(" ", (64-before%64)%64) + "\n"
	preamble := binary.LittleEndian.AppendUint16([]byte(magic), uint16(len(header)))
	for _, part := range [][]byte{preamble, []byte(header), data} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}
