package pytorch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
	"github.com/pagoda-go/pagoda/checkpoint"
)

// decoder reads the pickles of one file.
type decoder struct {
	allowance *allowance
	storage   func(id []any) (*storage, error) // nil where the format has no storages of its own
	inner     bool                             // within a bytes object of another pickle
	blobs     [][]byte                         // the bytes objects of the current pickle
}

// decode reads the pickle at the front of stream and returns what follows it.
func (d *decoder) decode(stream []byte) (value any, rest []byte, err error) {
	safe, rest, err := d.guard(stream)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if recover() != nil { // the library indexes what the stream says
			err = fmt.Errorf("%w: an operation does not fit its operands", ErrPickle)
		}
	}()
	unpickler := pickle.NewUnpickler(bytes.NewReader(safe))
	unpickler.PersistentLoad = d.resolve
	value, err = unpickler.Load()
	if err != nil && !ours(err) {
		err = fmt.Errorf("%w: %.200v", ErrPickle, err)
	}
	return value, rest, err
}

// ours tells errors of [decoder.resolve] and of the callables from the library's.
func ours(err error) bool {
	for _, known := range []error{ErrRefused, ErrPickle, ErrStorage, ErrTooLarge, ErrFormat, checkpoint.ErrDType} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// resolve returns what a persistent id stands for: the number of a bytes object
// and the pair of a callable's names, which [decoder.guard] made, or what
// torch.save means by it, a storage or the class of a module.
func (d *decoder) resolve(id any) (any, error) {
	switch id := id.(type) {
	case int:
		if id < 0 || id >= len(d.blobs) {
			return nil, fmt.Errorf("%w: there is no bytes object %d", ErrPickle, id)
		}
		return blob(d.blobs[id]), nil
	case *types.Tuple:
		if module, name, ok := stringPair(*id); ok {
			return d.callable(module, name)
		}
		if len(*id) > 1 {
			switch (*id)[0] {
			case "storage":
				if d.storage == nil {
					return nil, fmt.Errorf("%w: this kind of file has no storages", ErrPickle)
				}
				return d.storage((*id)[1:])
			case "module":
				return (*id)[1], nil
			}
		}
	}
	return nil, fmt.Errorf("%w: a persistent id is not that of a storage", ErrPickle)
}

func stringPair(tuple []any) (first, second string, ok bool) {
	if len(tuple) != 2 {
		return "", "", false
	}
	first, ok1 := tuple[0].(string)
	second, ok2 := tuple[1].(string)
	return first, second, ok1 && ok2
}

// blob is a Python bytes object, a view of the file.
type blob []byte

// record is an object of a class that this package knows by name only: how it
// was called and what was put into it.
type record struct {
	class string
	args  []any
	items types.Dict // of a subclass of dict
	list  types.List // of a subclass of list
	state any        // what __setstate__ or __dict__ was given
}

var (
	_ types.DictSetter      = &record{}
	_ types.ListAppender    = &record{}
	_ types.SetAdder        = &record{}
	_ types.PyStateSettable = &record{}
)

// Set is what the pickle library calls for an item of a dict.
func (r *record) Set(key, value any) { r.items.Set(key, value) }

// Append is what the library calls for an item of a list.
func (r *record) Append(value any) { r.list.Append(value) }

// Add is what the library calls for an item of a set, which is not kept.
func (r *record) Add(any) {}

// PySetState is what the library calls for the attributes.
func (r *record) PySetState(state any) error {
	r.state = state
	return nil
}
