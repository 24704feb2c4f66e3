package pytorch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// Format is the kind of a weight file.
type Format string

// The formats that [Open] reads.
const (
	Zip         Format = "torch.save zip"
	Legacy      Format = "torch.save legacy"
	Pickle      Format = "pickle"
	Safetensors Format = "safetensors"
	Sharded     Format = "sharded safetensors"
)

// File is a weight file open for reading; it is a [checkpoint.Source].
type File struct {
	format  Format
	tensors map[string]func() (checkpoint.Tensor, error)
	objects map[string]Object
	mapping *checkpoint.Mapping // of nothing when read from memory
	closers []func() error      // of the shards
	shards  []string            // their paths
}

var _ checkpoint.Source = &File{}

// Open maps a weight file and reads its structure, whatever its name ends in;
// the tensors' bytes are not read until they are used. Errors name the path and
// wrap those of this package, of package checkpoint or of package os.
func Open(path string) (*File, error) {
	mapping, err := checkpoint.Map(path)
	if err != nil {
		return nil, err
	}
	f := newFile(mapping)
	if err := f.read(mapping.Content(), filepath.Dir(path)); err != nil {
		f.Close()
		if errors.Is(err, ErrRefused) {
			return nil, fmt.Errorf("%s %w", path, err)
		}
		return nil, fmt.Errorf("%s is not a usable weight file: %w", path, err)
	}
	return f, nil
}

func newFile(mapping *checkpoint.Mapping) *File {
	return &File{tensors: map[string]func() (checkpoint.Tensor, error){}, mapping: mapping}
}

// unpacked is how many times larger than the file all its tensors, or all members
// of its archive, may be. Shared storages and compression make it more than one.
const unpacked = 16

// read finds the format and adds the tensors. An index looks for its shards in folder.
func (f *File) read(content []byte, folder string) (err error) {
	d := &decoder{allowance: newAllowance(len(content))}
	limit := unpacked * len(content)
	var object any
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")):
		f.format = Zip
		object, err = d.zip(content, limit)
	case isSafetensors(content):
		f.format = Safetensors
		return f.single(content)
	case bytes.HasPrefix(content, []byte{0x80}): // the first operation of protocols 2 to 5
		f.format = Pickle
		var rest []byte
		if object, rest, err = d.decode(content); err == nil && isMagic(object) {
			f.format = Legacy
			object, err = d.legacy(rest)
		}
	case bytes.HasPrefix(bytes.TrimLeft(content[:min(len(content), 100)], " \t\r\n"), []byte("{")):
		f.format = Sharded
		return f.index(content, folder)
	default:
		return fmt.Errorf("%w (it begins with %q)", ErrFormat, content[:min(len(content), 8)])
	}
	if err != nil {
		return err
	}
	return f.collect(object, d.allowance, limit)
}

// isSafetensors looks for a header's length, in the 8 bytes of which the upper
// ones are zero, and its first brace.
func isSafetensors(content []byte) bool {
	return len(content) > 8 && content[8] == '{' && binary.LittleEndian.Uint64(content) < 1<<40
}

// single adds the tensors of a safetensors file.
func (f *File) single(content []byte) error {
	file, err := checkpoint.Parse(content)
	if err != nil {
		return err
	}
	for _, name := range file.Names() {
		f.tensors[name] = func() (checkpoint.Tensor, error) { return file.Tensor(name) }
	}
	return nil
}

// collect adds the tensors and objects of a pickle. limit bounds the bytes that
// all tensors together fill.
func (f *File) collect(object any, paid *allowance, limit int) error {
	t := tree{allowance: paid, tensors: map[string]*tensor{}, objects: map[string]Object{}}
	if err := t.walk("", object, 0); err != nil {
		return err
	}
	left := limit
	for _, name := range slices.Sorted(maps.Keys(t.tensors)) {
		tensor := t.tensors[name]
		size, err := tensor.check(left)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		left -= size
		f.tensors[name] = tensor.read
	}
	f.objects = t.objects
	return nil
}

// Format returns the kind of the file.
func (f *File) Format() Format { return f.format }

// Names returns the tensors' names, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.tensors)) }

// Tensor returns a tensor in row-major order. Its Data is a read-only view of the
// file where it can be, valid until [File.Close]; writing to it may crash the
// program. A name that the file does not have is [checkpoint.ErrNoTensor].
func (f *File) Tensor(name string) (checkpoint.Tensor, error) {
	read, ok := f.tensors[name]
	if !ok {
		return checkpoint.Tensor{}, fmt.Errorf("%w: %q", checkpoint.ErrNoTensor, name)
	}
	t, err := read()
	if err != nil {
		return checkpoint.Tensor{}, fmt.Errorf("tensor %q: %w", name, err)
	}
	f.mapping.Use(len(t.Data))
	return t, nil
}

// Objects returns the persistent objects of a pickle by their paths, which are
// prefixes of their tensors' names: "ema" for the network of an EDM file,
// "ema.model" for the U-Net in it. Other files have none.
func (f *File) Objects() map[string]Object { return maps.Clone(f.objects) }

// Shards returns the paths of the files that a [Sharded] one is the index of, sorted.
func (f *File) Shards() []string { return slices.Sorted(slices.Values(f.shards)) }

// Close gives the memory back; the tensors' views become invalid.
func (f *File) Close() error {
	f.tensors = nil
	errs := []error{f.mapping.Close()}
	for _, closer := range f.closers {
		errs = append(errs, closer())
	}
	return errors.Join(errs...)
}
