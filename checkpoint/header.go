package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

const (
	lengthBytes  = 8           // the header's length, a little-endian integer in front of it
	maxHeader    = 100_000_000 // the limit of the reference implementation
	metadataName = "__metadata__"
)

// entry is one tensor's line in the header.
type entry struct {
	dtype      DType
	shape      []int
	begin, end int // in the data section
}

// split cuts a file into its header and its data section.
func split(file []byte) (header, data []byte, err error) {
	if len(file) < lengthBytes {
		return nil, nil, fmt.Errorf("%w: it has %d bytes", ErrTooShort, len(file))
	}
	length := binary.LittleEndian.Uint64(file)
	rest := file[lengthBytes:]
	if length > maxHeader {
		return nil, nil, fmt.Errorf("%w: it claims %d bytes", ErrHeaderTooLarge, length)
	}
	if length > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: the header wants %d bytes and %d are there", ErrTooShort, length, len(rest))
	}
	return rest[:length], rest[length:], nil
}

// parseHeader reads the header's JSON.
func parseHeader(header []byte) (entries map[string]entry, metadata map[string]string, err error) {
	if !bytes.HasPrefix(header, []byte("{")) {
		return nil, nil, fmt.Errorf("%w: it does not begin with '{'", ErrHeader)
	}
	if !utf8.Valid(header) {
		return nil, nil, fmt.Errorf("%w: it is not UTF-8", ErrHeader)
	}
	items, err := parseObject(header)
	if err != nil {
		return nil, nil, err
	}
	metadata = map[string]string{}
	entries = make(map[string]entry, len(items))
	for name, item := range items {
		if name == metadataName {
			metadata, err = parseMetadata(item)
		} else {
			entries[name], err = parseEntry(item)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	return entries, metadata, nil
}

func parseMetadata(item []byte) (map[string]string, error) {
	fields, err := parseObject(item)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(fields))
	for key, field := range fields {
		var value string
		if err := json.Unmarshal(field, &value); err != nil {
			return nil, fmt.Errorf("%w: the value of %q is not a string", ErrHeader, key)
		}
		metadata[key] = value
	}
	return metadata, nil
}

func parseEntry(item []byte) (entry, error) {
	fields, err := parseObject(item)
	if err != nil {
		return entry{}, err
	}
	var e entry
	var offsets []int
	for key, target := range map[string]any{"dtype": &e.dtype, "shape": &e.shape, "data_offsets": &offsets} {
		field, ok := fields[key]
		if !ok {
			return entry{}, fmt.Errorf("%w: %q is missing", ErrHeader, key)
		}
		// The decoder would take a null among the numbers for a zero.
		if bytes.Contains(field, []byte("null")) {
			return entry{}, fmt.Errorf("%w: %q contains null", ErrHeader, key)
		}
		if err := json.Unmarshal(field, target); err != nil {
			return entry{}, fmt.Errorf("%w: %q: %w", ErrHeader, key, err)
		}
	}
	if len(fields) != 3 {
		return entry{}, fmt.Errorf("%w: a tensor has only dtype, shape and data_offsets", ErrHeader)
	}
	if len(offsets) != 2 {
		return entry{}, fmt.Errorf("%w: data_offsets has %d numbers, not 2", ErrHeader, len(offsets))
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e, nil
}

// parseObject reads one JSON object, and nothing behind it, refusing a key that
// occurs twice and null values, both of which encoding/json lets pass.
func parseObject(text []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("%w: an object was expected", ErrHeader)
	}
	fields := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHeader, err)
		}
		key := token.(string)
		if _, ok := fields[key]; ok {
			return nil, fmt.Errorf("%w: %q", ErrDuplicate, key)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHeader, err)
		}
		if string(value) == "null" {
			return nil, fmt.Errorf("%w: %q is null", ErrHeader, key)
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: there is text behind the closing brace", ErrHeader)
	}
	return fields, nil
}

// checkLayout makes sure that the tensors fill a data section of size bytes
// end to end, each as large as its type and shape say.
func checkLayout(entries map[string]entry, size int) error {
	names := make([]string, 0, len(entries))
	for name, e := range entries {
		if e.begin < 0 || e.end < e.begin || e.end > size {
			return fmt.Errorf("%w: %q has [%d, %d] of %d bytes", ErrOffsets, name, e.begin, e.end, size)
		}
		want, err := byteSize(e.dtype, e.shape)
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		if e.end-e.begin != want {
			return fmt.Errorf("%w: %q has %d bytes, %s%v takes %d", ErrSize, name, e.end-e.begin, e.dtype, e.shape, want)
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(entries[a].begin, entries[b].begin),
			cmp.Compare(entries[a].end, entries[b].end),
			cmp.Compare(a, b))
	})
	position := 0
	for _, name := range names {
		if begin := entries[name].begin; begin != position {
			return fmt.Errorf("%w: %q begins at byte %d, not at %d", ErrLayout, name, begin, position)
		}
		position = entries[name].end
	}
	if position != size {
		return fmt.Errorf("%w: the tensors end at byte %d of %d", ErrTrailing, position, size)
	}
	return nil
}
