package data

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// Array is an array for a NumPy archive.
type Array struct {
	Name     string // under which NumPy finds it, without .npy
	Shape    []int
	Elements any // row-major: []uint8, []int64, []float32, []float64, a Stream, or a string without a shape
}

// Stream writes the elements of an array of bytes, row-major, when their turn in
// the archive has come. What it leaves in slices is there for the arrays after it.
type Stream func(w io.Writer) error

// WriteNPZ writes images (n,h,w,c), a []uint8 or a [Stream], and their n labels,
// atomically, as the arrays arr_0 (uint8) and arr_1 (int64) of a NumPy archive:
// what the evaluation script of guided-diffusion reads.
func WriteNPZ(path string, images any, n, h, w, c int, labels []int64) error {
	return WriteArrays(path, Array{"arr_0", []int{n, h, w, c}, images}, Array{"arr_1", []int{n}, labels})
}

// WriteArrays writes a NumPy archive, atomically and, as with numpy.savez, not compressed.
func WriteArrays(path string, arrays ...Array) error {
	for _, a := range arrays {
		if err := a.check(); err != nil {
			return fmt.Errorf("cannot write %s: %w", path, err)
		}
	}
	return checkpoint.WriteFileAtomic(path, func(file io.Writer) error {
		archive := zip.NewWriter(file)
		for _, a := range arrays {
			w, err := archive.CreateHeader(&zip.FileHeader{Name: a.Name + ".npy", Method: zip.Store})
			if err != nil {
				return err
			}
			if err := a.write(w); err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

// description is NumPy's name of the element type, and the number of elements.
func (a Array) description() (descr string, n int) {
	switch e := a.Elements.(type) {
	case []uint8:
		return "|u1", len(e)
	case []int64:
		return "<i8", len(e)
	case []float32:
		return "<f4", len(e)
	case []float64:
		return "<f8", len(e)
	case Stream:
		return "|u1", a.size()
	case string:
		return "<U" + strconv.Itoa(len([]rune(e))), 1
	}
	return "", 0
}

func (a Array) check() error {
	descr, n := a.description()
	if descr == "" {
		return fmt.Errorf("the array %s holds %T, which it cannot", a.Name, a.Elements)
	}
	if n != a.size() {
		return fmt.Errorf("the array %s has %d elements, its shape %v asks for %d", a.Name, n, a.Shape, a.size())
	}
	return nil
}

// size is the number of elements that the shape asks for.
func (a Array) size() int {
	size := 1
	for _, side := range a.Shape {
		size *= side
	}
	return size
}

// write writes NumPy's format 1.0: a magic string, the version, the length of a
// Python dictionary, that dictionary padded so that the elements begin at a
// multiple of 64 bytes, and the elements.
func (a Array) write(w io.Writer) error {
	descr, _ := a.description()
	shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(a.Shape), " ", ", "), "[]")
	if len(a.Shape) == 1 {
		shape += ","
	}
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape)
	before := len(npyMagic) + 4 + len(header) + 1
	header += strings.Repeat(" ", (64-before%64)%64) + "\n"
	preamble := binary.LittleEndian.AppendUint16([]byte(npyMagic+"\x01\x00"), uint16(len(header)))
	if _, err := w.Write(append(preamble, header...)); err != nil {
		return err
	}
	switch e := a.Elements.(type) {
	case []uint8:
		_, err := w.Write(e)
		return err
	case []int64:
		return writeElements(w, e)
	case []float32:
		return writeElements(w, e)
	case []float64:
		return writeElements(w, e)
	case Stream:
		counted := &checkpoint.Counter{To: w}
		if err := e(counted); err != nil {
			return err
		}
		if counted.N != a.size() {
			return fmt.Errorf("the array %s got %d elements, its shape %v asks for %d", a.Name, counted.N, a.Shape, a.size())
		}
		return nil
	}
	return binary.Write(w, binary.LittleEndian, []rune(a.Elements.(string)))
}

// writeElements writes numbers little-endian, some at a time.
func writeElements[T int64 | float32 | float64](w io.Writer, elements []T) error {
	for part := range slices.Chunk(elements, 1<<16) {
		if err := binary.Write(w, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	return nil
}
