package pytorch

import (
	"archive/zip"
	"fmt"
	"slices"

	"github.com/nlpodyssey/gopickle/types"
	"github.com/pagoda-go/pagoda/checkpoint"
)

// storage is the memory that tensors are views of.
type storage struct {
	dtype  checkpoint.DType
	size   int       // bytes
	data   []byte    // a view of the file
	member *zip.File // instead of data where it is compressed
}

// newStorage makes a storage without its bytes from a torch.save id: class, key,
// device, number of elements and, in legacy files, None.
func newStorage(id []any) (s *storage, key string, err error) {
	if len(id) == 4 || len(id) == 5 && id[4] == nil {
		class, ok1 := id[0].(storageType)
		key, ok2 := id[1].(string)
		count, ok3 := id[3].(int)
		if ok1 && ok2 && ok3 && count >= 0 && count <= maxCount {
			return &storage{dtype: class.dtype, size: count * class.dtype.Size()}, key, nil
		}
	}
	return nil, "", fmt.Errorf("%w: the id of a storage is not as torch.save writes it", ErrPickle)
}

// maxCount keeps the products of two numbers of a file from overflowing.
const maxCount = 1 << 48

// bytes returns the content, inflated if need be.
func (s *storage) bytes() ([]byte, error) {
	if s.member == nil {
		return s.data, nil
	}
	return inflate(s.member)
}

// tensor is a view of a storage.
type tensor struct {
	storage *storage
	dtype   checkpoint.DType
	offset  int // in elements, as are the strides
	shape   []int
	strides []int
}

// rebuildTensor is torch._utils._rebuild_tensor and _v2: storage, offset, shape,
// strides, and in v2 requires_grad, hooks and, rarely, metadata.
func rebuildTensor(args []any) (any, error) {
	if len(args) < 4 || len(args) > 7 {
		return nil, fmt.Errorf("%w: a tensor has %d properties", ErrPickle, len(args))
	}
	if len(args) == 7 && args[6] != nil {
		return nil, fmt.Errorf("%w: a tensor with metadata (a conjugate or negative view)", ErrFormat)
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("%w: a tensor has no storage", ErrPickle)
	}
	return makeTensor(s, s.dtype, args[1:4])
}

// rebuildTensorV3 is torch._utils._rebuild_tensor_v3, whose storage has no type:
// the type is the seventh argument.
func rebuildTensorV3(args []any) (any, error) {
	if len(args) == 7 || len(args) == 8 && args[7] == nil {
		s, ok1 := args[0].(*storage)
		dtype, ok2 := args[6].(checkpoint.DType)
		if ok1 && ok2 {
			return makeTensor(s, dtype, args[1:4])
		}
	}
	return nil, fmt.Errorf("%w: a tensor's properties are not as torch.save writes them", ErrPickle)
}

// rebuildParameter is torch._utils._rebuild_parameter: a tensor, requires_grad, hooks.
func rebuildParameter(args []any) (any, error) {
	if len(args) > 0 {
		if t, ok := args[0].(*tensor); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w: a parameter is no tensor", ErrPickle)
}

// makeTensor takes offset, shape and strides from a pickle.
func makeTensor(s *storage, dtype checkpoint.DType, layout []any) (*tensor, error) {
	offset, ok1 := layout[0].(int)
	shape, ok2 := numbers(layout[1])
	strides, ok3 := numbers(layout[2])
	if !ok1 || !ok2 || !ok3 || offset < 0 || offset > maxCount || len(shape) != len(strides) {
		return nil, fmt.Errorf("%w: a tensor's offset, shape or strides are impossible", ErrPickle)
	}
	return &tensor{s, dtype, offset, shape, strides}, nil
}

// numbers reads a tuple of sides or strides. PyTorch allows 64 dimensions.
func numbers(value any) ([]int, bool) {
	tuple, ok := value.(*types.Tuple)
	if !ok || len(*tuple) > 64 {
		return nil, false
	}
	out := make([]int, len(*tuple))
	for i, item := range *tuple {
		n, ok := item.(int)
		if !ok || n < 0 || n > maxCount {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// check makes sure that the tensor lies within its storage and returns its size
// in bytes, which may not exceed limit.
func (t *tensor) check(limit int) (size int, err error) {
	if slices.Contains(t.shape, 0) {
		return 0, nil
	}
	size = t.dtype.Size()
	last := t.offset
	for i, n := range t.shape {
		if size > limit/n {
			return 0, fmt.Errorf("%w: %v has more elements than the file can fill", checkpoint.ErrShape, t.shape)
		}
		size *= n
		if n > 1 && t.strides[i] > (maxCount-last)/(n-1) {
			return 0, fmt.Errorf("%w: %v in steps of %v", checkpoint.ErrOffsets, t.shape, t.strides)
		}
		last += (n - 1) * t.strides[i]
	}
	if end := (last + 1) * t.dtype.Size(); end > t.storage.size {
		return 0, fmt.Errorf("%w: it ends at byte %d of %d", checkpoint.ErrOffsets, end, t.storage.size)
	}
	return size, nil
}

// read returns the tensor in row-major order: a view of its storage where that
// is the order there, else a copy.
func (t *tensor) read() (checkpoint.Tensor, error) {
	out := checkpoint.Tensor{DType: t.dtype, Shape: slices.Clone(t.shape)}
	if slices.Contains(t.shape, 0) {
		return out, nil
	}
	content, err := t.storage.bytes()
	if err != nil {
		return checkpoint.Tensor{}, err
	}
	element := t.dtype.Size()
	// The dimensions from outer on lie in one run.
	run, outer := element, len(t.shape)
	for outer > 0 && (t.shape[outer-1] == 1 || t.strides[outer-1]*element == run) {
		outer--
		run *= t.shape[outer]
	}
	begin := t.offset * element
	if outer == 0 {
		out.Data = content[begin : begin+run : begin+run]
		return out, nil
	}
	size := run
	for _, n := range t.shape[:outer] {
		size *= n
	}
	out.Data = make([]byte, 0, size)
	index := make([]int, outer)
	for len(out.Data) < size {
		at := begin
		for i, n := range index {
			at += n * t.strides[i] * element
		}
		out.Data = append(out.Data, content[at:at+run]...)
		for i := outer - 1; i >= 0; i-- { // the next index
			if index[i]++; index[i] < t.shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out, nil
}
