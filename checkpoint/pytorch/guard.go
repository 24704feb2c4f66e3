package pytorch

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// guard copies the pickle at the front of stream, up to its STOP, into a form
// that the pickle library can be trusted with, and returns what follows it:
//
//   - only operations that protocols 2 to 5 use, each complete;
//   - every operation is paid for from the file's allowance first;
//   - bytes objects, which may be large, stay where they are: the copy has a
//     persistent id in their place, an index of d.blobs;
//   - names of callables come as persistent ids too, pairs of module and name,
//     so that [decoder.resolve] decides on all of them.
func (d *decoder) guard(stream []byte) (safe, rest []byte, err error) {
	if err := d.allowance.take(pickleCost); err != nil {
		return nil, nil, err
	}
	d.blobs = nil
	for len(stream) > 0 {
		code := stream[0]
		form, used := operations[code]
		if !used {
			return nil, nil, fmt.Errorf("%w: operation %q is none that weight files use", ErrPickle, code)
		}
		size, err := form.size(stream[1:])
		if err != nil {
			return nil, nil, err
		}
		operation, argument := stream[:1+size], stream[1+form.head:1+size]
		stream = stream[1+size:]
		if form.blob {
			size = 0 // nothing is copied
		}
		if size > maxArgument {
			return nil, nil, fmt.Errorf("%w: its pickle has a string or number of %d bytes", ErrTooLarge, size)
		}
		if err := d.allowance.take(operationCost + 4*size); err != nil {
			return nil, nil, err
		}
		switch {
		case form.blob:
			safe = append(safe, 'J')
			safe = binary.LittleEndian.AppendUint32(safe, uint32(len(d.blobs)))
			safe = append(safe, 'Q')
			d.blobs = append(d.blobs, argument)
		case code == global:
			module, name, _ := bytes.Cut(argument[:len(argument)-1], []byte("\n"))
			safe = appendString(appendString(safe, module), name)
			safe = append(safe, tuple2, 'Q')
		case code == stackGlobal:
			safe = append(safe, tuple2, 'Q')
		case code == frame:
			// A hint for reading ahead, with no meaning once bytes are moved.
		default:
			safe = append(safe, operation...)
		}
		if code == '.' {
			return safe, stream, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: it breaks off", ErrPickle)
}

const (
	global      = 'c'
	tuple2      = 0x86
	stackGlobal = 0x93
	frame       = 0x95
)

// form is what follows an operation's code: head bytes, which may be the length
// of what follows them.
type form struct {
	head    int
	counted bool
	blob    bool // the counted bytes are a bytes object
	lines   int  // instead of head: so many lines
}

// operations are those that Python's protocols 2 to 5 write, without the two
// for code registries and the two for buffers outside the file.
var operations = func() map[byte]form {
	all := map[byte]form{global: {lines: 2}}
	for codes, form := range map[string]form{
		"(.01NQRabestu})]\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94": {},
		"Khq\x80":   {head: 1},
		"M":         {head: 2},
		"Jjr":       {head: 4},
		"G\x95":     {head: 8},
		"U\x8a\x8c": {head: 1, counted: true},
		"XT\x8b":    {head: 4, counted: true},
		"\x8d":      {head: 8, counted: true},
		"C":         {head: 1, counted: true, blob: true},
		"B":         {head: 4, counted: true, blob: true},
		"\x8e\x96":  {head: 8, counted: true, blob: true},
	} {
		for _, code := range []byte(codes) {
			all[code] = form
		}
	}
	return all
}()

// maxArgument bounds the strings and numbers; source code is the longest of them.
const maxArgument = 4 << 20

// maxLine bounds the length of a callable's module and name together.
const maxLine = 1000

// size returns how many of the bytes behind an operation's code belong to it.
func (f form) size(rest []byte) (int, error) {
	size := f.head
	line := rest[:min(len(rest), maxLine)]
	for range f.lines {
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			return 0, fmt.Errorf("%w: the name of a callable does not end", ErrPickle)
		}
		line = line[end+1:]
		size += end + 1
	}
	if size > len(rest) {
		return 0, fmt.Errorf("%w: it breaks off", ErrPickle)
	}
	if f.counted {
		var width [8]byte
		copy(width[:], rest[:f.head])
		length := binary.LittleEndian.Uint64(width[:])
		if length > uint64(len(rest)-size) {
			return 0, fmt.Errorf("%w: an object claims %d bytes and %d are left", ErrPickle, length, len(rest)-size)
		}
		size += int(length)
	}
	return size, nil
}

// appendString appends the operation that pushes a string.
func appendString(pickle []byte, s []byte) []byte {
	pickle = append(pickle, 'X')
	pickle = binary.LittleEndian.AppendUint32(pickle, uint32(len(s)))
	return append(pickle, s...)
}
