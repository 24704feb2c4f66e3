package pytorch

import (
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/nlpodyssey/gopickle/types"
)

// magic is the number that torch.save's legacy files begin with, pickled.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

func isMagic(value any) bool {
	number, ok := value.(*big.Int)
	return ok && number.Cmp(magic) == 0
}

// legacy reads what follows the magic number: the pickles of the format's
// version, the machine's properties, the object itself and the keys of its
// storages; then, in that order, each storage's number of elements and bytes.
func (d *decoder) legacy(stream []byte) (object any, err error) {
	storages := map[string]*storage{}
	d.storage = func(id []any) (*storage, error) {
		s, key, err := newStorage(id)
		if err != nil {
			return nil, err
		}
		if known, ok := storages[key]; ok {
			if known.dtype != s.dtype || known.size != s.size {
				return nil, fmt.Errorf("%w: storage %.50q is declared twice, differently", ErrStorage, key)
			}
			return known, nil
		}
		storages[key] = s
		return s, nil
	}
	var version, machine, keys any
	for _, target := range []*any{&version, &machine, &object, &keys} {
		if *target, stream, err = d.decode(stream); err != nil {
			return nil, err
		}
	}
	if version != 1001 {
		return nil, fmt.Errorf("%w: version %v of the legacy format", ErrFormat, version)
	}
	if machine, ok := machine.(*types.Dict); ok {
		if little, _ := machine.Get("little_endian"); little != true {
			return nil, fmt.Errorf("%w: it is big-endian", ErrFormat)
		}
	}
	list, ok := keys.(*types.List)
	if !ok {
		return nil, fmt.Errorf("%w: the keys of the storages are no list", ErrPickle)
	}
	for _, key := range *list {
		name, _ := key.(string)
		s, ok := storages[name]
		if !ok || s.data != nil {
			return nil, fmt.Errorf("%w: storage %.50q is not used, or twice there", ErrStorage, name)
		}
		if stream, err = s.fill(stream); err != nil {
			return nil, fmt.Errorf("storage %.50q: %w", name, err)
		}
	}
	for key, s := range storages {
		if s.data == nil {
			return nil, fmt.Errorf("%w: storage %.50q", ErrStorage, key)
		}
	}
	return object, nil
}

// fill takes a storage's bytes from the front of a legacy stream and returns what
// follows them.
func (s *storage) fill(stream []byte) (rest []byte, err error) {
	const lengthBytes = 8
	if len(stream) < lengthBytes+s.size {
		return nil, fmt.Errorf("%w: the file ends too early", ErrStorage)
	}
	count := binary.LittleEndian.Uint64(stream)
	if count != uint64(s.size/s.dtype.Size()) {
		return nil, fmt.Errorf("%w: it has %d elements, not %d", ErrStorage, count, s.size/s.dtype.Size())
	}
	stream = stream[lengthBytes:]
	s.data = stream[:s.size:s.size]
	return stream[s.size:], nil
}
