package pytorch

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// Write writes tensors as a zip .pt file, atomically; torch.load reads it as an
// OrderedDict in the order of the names, also with weights_only=True. The same
// tensors always give the same bytes. Nothing is written when a tensor is not
// what it claims ([checkpoint.ErrSize]), PyTorch has no storage of its type
// ([checkpoint.ErrDType]) or its name is not UTF-8 ([ErrName]).
func Write(path string, tensors map[string]checkpoint.Tensor) error {
	return WriteFrom(path, tensorMap(tensors), slices.Collect(maps.Keys(tensors)))
}

// tensorMap is a map of tensors as a Source.
type tensorMap map[string]checkpoint.Tensor

func (m tensorMap) Tensor(name string) (checkpoint.Tensor, error) { return m[name], nil }

// WriteFrom is [Write] of the named tensors of a source, which is asked for one at
// a time, twice in all: copies that it makes are not held together.
func WriteFrom(path string, source checkpoint.Source, names []string) error {
	names = slices.Sorted(slices.Values(names))
	pickle, err := makePickle(names, source)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return checkpoint.WriteFileAtomic(path, func(w io.Writer) error {
		a := newArchive(w)
		a.add("data.pkl", pickle)
		a.add("byteorder", []byte("little"))
		for i, name := range names {
			t, err := source.Tensor(name)
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
			a.add("data/"+strconv.Itoa(i), t.Data)
		}
		a.add("version", []byte("3\n"))
		return a.close()
	})
}

// makePickle returns data.pkl, in protocol 2, as torch.save would write it. The
// i-th tensor has its own storage, called i.
func makePickle(names []string, source checkpoint.Source) ([]byte, error) {
	p := []byte("\x80\x02ccollections\nOrderedDict\n)R(")
	for i, name := range names {
		t, err := source.Tensor(name)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		if !utf8.ValidString(name) || len(name) > maxName {
			return nil, fmt.Errorf("%w: %.200q", ErrName, name)
		}
		count, strides, err := layout(t)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		class := ""
		for candidate, dtype := range storageTypes {
			if dtype == t.DType {
				class = candidate
			}
		}
		if class == "" {
			return nil, fmt.Errorf("%q: %w: PyTorch has no storage of %s", name, checkpoint.ErrDType, t.DType)
		}
		p = appendString(p, []byte(name))
		p = append(p, "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"+class+"\n"...)
		p = appendString(p, []byte(strconv.Itoa(i)))
		p = append(p, "X\x03\x00\x00\x00cpu"...)
		p = append(appendInt(p, count), "tQ"...) // the storage
		p = appendInt(p, 0)                      // offset
		p = appendInts(appendInts(p, t.Shape), strides)
		p = append(p, "\x89ccollections\nOrderedDict\n)RtR"...) // requires_grad, hooks
	}
	return append(p, "u."...), nil
}

// layout returns the number of elements and the strides of a row-major tensor.
func layout(t checkpoint.Tensor) (count int, strides []int, err error) {
	element := t.DType.Size()
	if element == 0 {
		return 0, nil, fmt.Errorf("%w: %q", checkpoint.ErrDType, t.DType)
	}
	strides = make([]int, len(t.Shape))
	stride := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		n := t.Shape[i]
		if n < 0 || n > 0 && stride > maxCount/n {
			return 0, nil, fmt.Errorf("%w: %v", checkpoint.ErrShape, t.Shape)
		}
		strides[i] = stride
		stride *= max(n, 1)
	}
	count = stride
	if slices.Contains(t.Shape, 0) {
		count = 0
	}
	if count*element != len(t.Data) {
		return 0, nil, fmt.Errorf("%w: %d bytes, %s%v takes %d", checkpoint.ErrSize, len(t.Data), t.DType, t.Shape, count*element)
	}
	return count, strides, nil
}

// appendInt appends the operation that pushes an integer.
func appendInt(pickle []byte, n int) []byte {
	if n <= math.MaxInt32 {
		return binary.LittleEndian.AppendUint32(append(pickle, 'J'), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(pickle, '\x8a', 8), uint64(n))
}

// appendInts appends the operations that push a tuple of integers.
func appendInts(pickle []byte, list []int) []byte {
	pickle = append(pickle, '(')
	for _, n := range list {
		pickle = appendInt(pickle, n)
	}
	return append(pickle, 't')
}
