package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// The ways a pair of IDX files can be wrong.
var (
	// ErrMagic: the file is not an IDX file of the expected kind.
	ErrMagic = errors.New("not an IDX file of unsigned bytes")
	// ErrTruncated: the file ends before its data does.
	ErrTruncated = errors.New("the file is cut short")
	// ErrTrailing: the file goes on after its data.
	ErrTrailing = errors.New("the file is longer than its header says")
	// ErrTooLarge: the header claims more than memory can hold.
	ErrTooLarge = errors.New("the header claims an impossible size")
	// ErrLabelCount: there are not as many labels as images.
	ErrLabelCount = errors.New("images and labels differ in number")
	// ErrLabelRange: a label names no class.
	ErrLabelRange = errors.New("label out of range")
	// ErrEmpty: there is no image.
	ErrEmpty = errors.New("no images")
)

// OpenIDX reads greyscale images (N,1,H,W) and their labels from two files in
// MNIST's IDX format, plain or gzip-compressed. With classNames nil the classes
// are named "0", "1", … up to the highest label. Errors name the file and wrap
// one of the errors above or of package os.
func OpenIDX(imagesPath, labelsPath string, classNames []string) (*Dataset, error) {
	sides, pixels, err := readIDX(imagesPath, 3)
	if err != nil {
		return nil, err
	}
	labelSides, labelBytes, err := readIDX(labelsPath, 1)
	if err != nil {
		return nil, err
	}
	if len(pixels) == 0 {
		return nil, fmt.Errorf("%s: %w", imagesPath, ErrEmpty)
	}
	if labelSides[0] != sides[0] {
		return nil, fmt.Errorf("%w: %s has %d, %s has %d; are they of the same split?", ErrLabelCount, imagesPath, sides[0], labelsPath, labelSides[0])
	}
	highest := int(slices.Max(labelBytes))
	if classNames == nil {
		for class := range highest + 1 {
			classNames = append(classNames, strconv.Itoa(class))
		}
	}
	if highest >= len(classNames) {
		return nil, fmt.Errorf("%s: %w: %d, with %d classes", labelsPath, ErrLabelRange, highest, len(classNames))
	}
	labels := make([]int32, len(labelBytes))
	for i, label := range labelBytes {
		labels[i] = int32(label)
	}
	return &Dataset{
		Name: filepath.Base(imagesPath),
		C:    1, H: sides[1], W: sides[2],
		Pixels: pixels, Labels: labels, ClassNames: classNames,
	}, nil
}

// readIDX reads an IDX file of bytes: two zeros, the element type 8, the number
// of dimensions, each side as a big-endian uint32, then the elements.
func readIDX(path string, dimensions int) (sides []int, elements []uint8, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the data set: %w", err)
	}
	defer file.Close()
	sides, elements, err = parseIDX(file, dimensions)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not usable, get it again: %w", path, err)
	}
	return sides, elements, nil
}

func parseIDX(r io.Reader, dimensions int) (sides []int, elements []uint8, err error) {
	r, err = gunzip(r)
	if err != nil {
		return nil, nil, err
	}
	header := make([]byte, 4+4*dimensions)
	if _, err := io.ReadFull(r, header[:4]); err != nil {
		return nil, nil, err
	}
	if want := []byte{0, 0, 8, byte(dimensions)}; !bytes.Equal(header[:4], want) {
		return nil, nil, fmt.Errorf("%w: it begins with % x, not % x", ErrMagic, header[:4], want)
	}
	if _, err := io.ReadFull(r, header[4:]); err != nil {
		return nil, nil, err
	}
	size := uint64(1)
	for side := range slices.Chunk(header[4:], 4) {
		n := binary.BigEndian.Uint32(side)
		sides = append(sides, int(n))
		high, low := bits.Mul64(size, uint64(n))
		if high != 0 || low >= math.MaxInt64 {
			return nil, nil, fmt.Errorf("%w: %v", ErrTooLarge, sides)
		}
		size = low
	}
	// Grows with what is really there, whatever the header claims; the byte
	// more than wanted shows whether the file goes on.
	elements, err = io.ReadAll(io.LimitReader(r, int64(size)+1))
	if err != nil {
		return nil, nil, err
	}
	switch {
	case uint64(len(elements)) < size:
		return nil, nil, ErrTruncated
	case uint64(len(elements)) > size:
		return nil, nil, ErrTrailing
	}
	return sides, slices.Clip(elements), nil
}

// gunzip decompresses what begins like a gzip file and passes on anything else.
func gunzip(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(start, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(buffered)
	}
	return buffered, nil
}
