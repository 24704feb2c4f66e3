package checkpoint

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// Write writes a safetensors file atomically. The same tensors and metadata
// always give the same bytes: wide element types come first so that every
// tensor is aligned, then names in order. The key "sha256" of the metadata is
// set for [File.Verify]. Nothing is written when a tensor is not what it
// claims ([ErrName], [ErrDType], [ErrShape], [ErrSize]), the metadata is not
// UTF-8 ([ErrHeader]) or there is more of it than can be read again
// ([ErrHeaderTooLarge]).
func Write(path string, tensors map[string]Tensor, metadata map[string]string) error {
	return WriteFrom(path, tensorMap(tensors), slices.Collect(maps.Keys(tensors)), metadata)
}

// tensorMap is a map of tensors as a Source.
type tensorMap map[string]Tensor

func (m tensorMap) Tensor(name string) (Tensor, error) { return m[name], nil }

// WriteFrom is [Write] of the named tensors of a source, which is asked for one at
// a time, three times in all: copies that it makes are not held together. Every
// time it must hand out the same.
func WriteFrom(path string, source Source, names []string, metadata map[string]string) error {
	layouts := make(map[string]Tensor, len(names))
	for _, name := range names {
		t, err := source.Tensor(name)
		if err == nil {
			err = t.check()
		}
		if err != nil {
			return fmt.Errorf("cannot write %s: %q: %w", path, name, err)
		}
		layouts[name] = Tensor{DType: t.DType, Shape: t.Shape}
	}
	names = inOrder(layouts)
	strings := map[string]string{}
	maps.Copy(strings, metadata)
	strings[checksumKey] = noChecksum
	header, err := makeHeader(names, layouts, strings)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	each := func(w io.Writer) error {
		for _, name := range names {
			t, err := source.Tensor(name)
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			if _, err := w.Write(t.Data); err != nil {
				return err
			}
		}
		return nil
	}
	hash := sha256.New()
	hash.Write(header)
	if err := each(hash); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	header = bytes.Replace(header, checksumField(noChecksum), checksumField(digest), 1)

	return writeFile(path, header, each)
}

// WriteStream writes a safetensors file atomically whose tensors do not fit in
// memory. Layouts are tensors without data; content is asked to write that of
// each, wide element types first, then names in order, and has [ErrSize] to
// answer for when it writes more or less. There is no checksum in such a file.
func WriteStream(path string, layouts map[string]Tensor, metadata map[string]string, content func(name string, w io.Writer) error) error {
	names := inOrder(layouts)
	header, err := makeHeader(names, layouts, metadata)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return writeFile(path, header, func(w io.Writer) error {
		for _, name := range names {
			size, err := byteSize(layouts[name].DType, layouts[name].Shape)
			if err != nil {
				return err
			}
			counted := &Counter{To: w}
			if err := content(name, counted); err != nil {
				return err
			}
			if counted.N != size {
				return fmt.Errorf("%q: %w: %d bytes, %s%v takes %d", name, ErrSize, counted.N, layouts[name].DType, layouts[name].Shape, size)
			}
		}
		return nil
	})
}

// Counter counts the bytes written through it.
type Counter struct {
	To io.Writer
	N  int // bytes
}

// Write writes to c.To.
func (c *Counter) Write(p []byte) (int, error) {
	n, err := c.To.Write(p)
	c.N += n
	return n, err
}

// inOrder are the tensors' names as they lie in a file.
func inOrder(layouts map[string]Tensor) []string {
	return slices.SortedFunc(maps.Keys(layouts), func(a, b string) int {
		return cmp.Or(
			cmp.Compare(layouts[b].DType.Size(), layouts[a].DType.Size()),
			cmp.Compare(a, b))
	})
}

// writeFile writes a header and the data that follows it.
func writeFile(path string, header []byte, data func(io.Writer) error) error {
	return WriteFileAtomic(path, func(w io.Writer) error {
		length := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		for _, part := range [][]byte{length, header} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return data(w)
	})
}

// check makes sure that a tensor has the bytes that its type and shape say.
func (t Tensor) check() error {
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if size != len(t.Data) {
		return fmt.Errorf("%w: %d bytes, %s%v takes %d", ErrSize, len(t.Data), t.DType, t.Shape, size)
	}
	return nil
}

// makeHeader returns the JSON, padded with spaces to a multiple of 8 bytes. The
// tensors' data may be left out.
func makeHeader(names []string, tensors map[string]Tensor, metadata map[string]string) ([]byte, error) {
	for key, value := range metadata {
		if !utf8.ValidString(key + value) {
			return nil, fmt.Errorf("%w: the metadata %q is not UTF-8", ErrHeader, key)
		}
	}
	items := map[string]any{}
	if len(metadata) > 0 {
		items[metadataName] = metadata
	}
	position := 0
	for _, name := range names {
		t := tensors[name]
		if name == metadataName || !utf8.ValidString(name) {
			return nil, fmt.Errorf("%w: %q", ErrName, name)
		}
		size, err := byteSize(t.DType, t.Shape)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		items[name] = map[string]any{"dtype": t.DType, "shape": shape, "data_offsets": []int{position, position + size}}
		position += size
	}
	header, err := json.Marshal(items) // sorts the keys
	if err != nil {
		return nil, err
	}
	if len(header) > maxHeader {
		return nil, fmt.Errorf("%w: %d bytes", ErrHeaderTooLarge, len(header))
	}
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	return header, nil
}
