package data

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/x448/float16"
)

// ErrNPY: an array is not in NumPy's format, or of a kind that is not read here.
var ErrNPY = errors.New("not a usable NumPy array")

const npyMagic = "\x93NUMPY"

// NPZ is an open NumPy archive.
type NPZ struct {
	path    string
	archive *zip.ReadCloser
}

// OpenNPZ opens a NumPy archive, compressed or not.
func OpenNPZ(path string) (*NPZ, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the NumPy archive %s: %w", path, err)
	}
	return &NPZ{path, archive}, nil
}

// Close closes the file; arrays opened from it end with it.
func (z *NPZ) Close() error { return z.archive.Close() }

// Names are the names of the arrays, without .npy.
func (z *NPZ) Names() []string {
	var names []string
	for _, f := range z.archive.File {
		if name, ok := strings.CutSuffix(f.Name, ".npy"); ok {
			names = append(names, name)
		}
	}
	return names
}

// Has tells whether there is an array of that name.
func (z *NPZ) Has(name string) bool { return slices.Contains(z.Names(), name) }

// Open begins to read an array.
func (z *NPZ) Open(name string) (*NPY, error) {
	i := slices.IndexFunc(z.archive.File, func(f *zip.File) bool { return f.Name == name+".npy" })
	if i < 0 {
		return nil, fmt.Errorf("%s holds no array %s, but %s", z.path, name, strings.Join(z.Names(), ", "))
	}
	f := z.archive.File[i]
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: the array %s: %w", z.path, name, err)
	}
	a, err := newNPY(r)
	if err != nil {
		return nil, fmt.Errorf("%s: the array %s: %w", z.path, name, errors.Join(err, r.Close()))
	}
	a.Checksum, a.close = f.CRC32, r.Close
	return a, nil
}

// NPY is an array being read, first to last in the order of the file.
type NPY struct {
	Shape    []int
	Type     string // of the elements, as NumPy writes it: |u1, <f4, …
	Checksum uint32 // CRC-32 of header and elements, by the archive

	fortran bool // the elements lie in column-major order

	r     io.Reader
	close func() error
}

// headerPattern is the dictionary as every version of NumPy writes it.
var headerPattern = regexp.MustCompile(`^\{'descr': '([<>|=][a-zA-Z]\d{0,9})', 'fortran_order': (True|False), 'shape': \(((?:\d+,? ?)*)\), \}\s*$`)

// maxHeader is the length beyond which a header is not believed, maxElements that of an array.
const maxHeader, maxElements = 1 << 16, 1 << 40

func newNPY(r io.Reader) (*NPY, error) {
	start := make([]byte, len(npyMagic)+4)
	if _, err := io.ReadFull(r, start); err != nil || string(start[:len(npyMagic)]) != npyMagic {
		return nil, fmt.Errorf("%w: it does not begin as one", ErrNPY)
	}
	version, length := start[len(npyMagic)], int(binary.LittleEndian.Uint16(start[len(npyMagic)+2:]))
	if version > 1 { // the length has two more bytes
		more := make([]byte, 2)
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, fmt.Errorf("%w: its header is cut off", ErrNPY)
		}
		length |= int(binary.LittleEndian.Uint16(more)) << 16
	}
	if version < 1 || version > 3 || length > maxHeader {
		return nil, fmt.Errorf("%w: version %d of the format with a header of %d bytes", ErrNPY, version, length)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("%w: its header is cut off", ErrNPY)
	}
	parts := headerPattern.FindSubmatch(header)
	if parts == nil {
		return nil, fmt.Errorf("%w: header %.100q", ErrNPY, header)
	}
	a := &NPY{Type: string(parts[1]), r: r}
	elements := 1
	for part := range strings.FieldsFuncSeq(string(parts[3]), func(r rune) bool { return r == ',' || r == ' ' }) {
		size, err := strconv.Atoi(part)
		if err != nil || size > maxElements/max(elements, 1) {
			return nil, fmt.Errorf("%w: shape (%s)", ErrNPY, parts[3])
		}
		elements *= size
		a.Shape = append(a.Shape, size)
	}
	a.fortran = string(parts[2]) == "True" && len(a.Shape) > 1
	return a, nil
}

// Close ends reading.
func (a *NPY) Close() error { return a.close() }

// Len is the number of elements.
func (a *NPY) Len() int {
	n := 1
	for _, size := range a.Shape {
		n *= size
	}
	return n
}

// Uint8s reads the next elements of an array of bytes into all of to.
func (a *NPY) Uint8s(to []uint8) error {
	if a.Type != "|u1" {
		return fmt.Errorf("%w: its elements are %s, not bytes (|u1)", ErrNPY, a.Type)
	}
	if a.fortran {
		return fmt.Errorf("%w: it is in Fortran order, in which no part is an image; save numpy.ascontiguousarray of it", ErrNPY)
	}
	if _, err := io.ReadFull(a.r, to); err != nil {
		return fmt.Errorf("%w: its elements are cut off: %w", ErrNPY, err)
	}
	return nil
}

// rowMajor brings elements that lie in column-major order into row-major order.
func (a *NPY) rowMajor(elements []float64) []float64 {
	if !a.fortran {
		return elements
	}
	out := make([]float64, len(elements))
	index := make([]int, len(a.Shape))
	for to := range out {
		from, stride := 0, 1
		for i, size := range a.Shape {
			from += index[i] * stride
			stride *= size
		}
		out[to] = elements[from]
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < a.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// numbers decode one number of each type.
var numbers = map[string]func(b []byte) float64{
	"<f8": func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	"<f4": func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
	"<f2": func(b []byte) float64 { return float64(float16.Frombits(binary.LittleEndian.Uint16(b)).Float32()) },
	"<i8": func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
	"<i4": func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
	"|u1": func(b []byte) float64 { return float64(b[0]) },
}

// Float64s reads all elements of an array of numbers, in row-major order.
func (a *NPY) Float64s() ([]float64, error) {
	number, ok := numbers[a.Type]
	if !ok {
		return nil, fmt.Errorf("%w: its elements are %s, not numbers of a common type", ErrNPY, a.Type)
	}
	size := int(a.Type[2] - '0')
	var out []float64 // grows with what is there, not with what the header promises
	for left := a.Len(); left > 0; {
		n := min(left, 1<<16)
		part := make([]byte, n*size)
		if _, err := io.ReadFull(a.r, part); err != nil {
			return nil, fmt.Errorf("%w: its elements are cut off: %w", ErrNPY, err)
		}
		for b := range slices.Chunk(part, size) {
			out = append(out, number(b))
		}
		left -= n
	}
	return a.rowMajor(out), nil
}

// Text reads an array that holds one string.
func (a *NPY) Text() (string, error) {
	length, err := strconv.Atoi(strings.TrimPrefix(a.Type, "<U"))
	if err != nil || len(a.Shape) > 0 || length > maxHeader {
		return "", fmt.Errorf("%w: it is %v of %s, not a string", ErrNPY, a.Shape, a.Type)
	}
	runes := make([]rune, length)
	if err := binary.Read(a.r, binary.LittleEndian, runes); err != nil {
		return "", fmt.Errorf("%w: its string is cut off: %w", ErrNPY, err)
	}
	return strings.TrimRight(string(runes), "\x00"), nil
}
