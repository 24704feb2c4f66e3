package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// File is a safetensors file open for reading: see [Open] and [Parse].
type File struct {
	header   []byte // JSON with its padding
	data     []byte
	entries  map[string]entry
	metadata map[string]string
	mapping  *Mapping // of nothing when parsed from memory
}

// Open maps a safetensors file into memory and checks its structure; the
// tensors' bytes are not read until they are used. Errors name the path and
// wrap one of the errors of this package or of package os.
func Open(path string) (*File, error) {
	mapping, err := Map(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(mapping.Content())
	if err != nil {
		other := foreign(mapping.Content())
		mapping.Close()
		if other != "" {
			return nil, fmt.Errorf("%s is %s, not a file of this program: bring it into one with pagoda import (%w)", path, other, err)
		}
		return nil, fmt.Errorf("%s is not a usable safetensors file, get or make it again: %w", path, err)
	}
	f.mapping = mapping
	return f, nil
}

// foreign names what a file of another program is, by what it begins with.
func foreign(content []byte) string {
	switch {
	case bytes.HasPrefix(content, []byte("PK\x03\x04")):
		return "a zip archive, such as torch.save makes"
	case len(content) > 1 && content[0] == 0x80 && content[1] >= 2 && content[1] <= 5:
		return "a Python pickle"
	case bytes.HasPrefix(bytes.TrimLeft(content[:min(len(content), 100)], " \t\r\n"), []byte("{")):
		return "JSON, such as the index of sharded weights"
	}
	return ""
}

// OpenVerified is [Open] followed by [File.Verify].
func OpenVerified(path string) (*File, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	if err := file.Verify(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return file, nil
}

// Parse reads a safetensors file from memory and checks its structure. The
// tensors are views of content, which must not change meanwhile.
func Parse(content []byte) (*File, error) {
	header, data, err := split(content)
	if err != nil {
		return nil, err
	}
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(entries, len(data)); err != nil {
		return nil, err
	}
	return &File{header: header, data: data, entries: entries, metadata: metadata, mapping: &Mapping{}}, nil
}

// Metadata returns the file's free-form strings.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Names returns the tensors' names, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.entries)) }

// Tensor returns a tensor without copying it: its Data is a read-only view,
// valid until [File.Close]; writing to it may crash the program. A name that
// the file does not have is [ErrNoTensor].
func (f *File) Tensor(name string) (Tensor, error) {
	e, ok := f.entries[name]
	if !ok {
		return Tensor{}, fmt.Errorf("%w: %q", ErrNoTensor, name)
	}
	f.mapping.Use(e.end - e.begin)
	return Tensor{DType: e.dtype, Shape: slices.Clone(e.shape), Data: f.data[e.begin:e.end:e.end]}, nil
}

// Prefetch asks the system to begin reading n bytes of a tensor's data, from byte
// first on. Asked for before they are used, many small parts come from a disk
// together, else one after the other.
func (f *File) Prefetch(name string, first, n int) {
	e, ok := f.entries[name]
	if !ok || f.mapping.content == nil || n <= 0 {
		return
	}
	first += len(f.mapping.content) - len(f.data) + e.begin
	f.mapping.need(first, first+n)
}

// Verify reads the whole file and compares it with the sha256 that [Write] left
// in the metadata: [ErrChecksum] when a byte of header or data has changed,
// [ErrNoChecksum] when there is none.
func (f *File) Verify() error {
	want, ok := f.metadata[checksumKey]
	if !ok {
		return ErrNoChecksum
	}
	header := bytes.Replace(f.header, checksumField(want), checksumField(noChecksum), 1)
	hash := sha256.New()
	hash.Write(header)
	for chunk := range slices.Chunk(f.data, pages/4) {
		hash.Write(chunk)
		f.mapping.Use(len(chunk))
	}
	if hex.EncodeToString(hash.Sum(nil)) != want {
		return ErrChecksum
	}
	return nil
}

// SHA256 is the digest of the whole file, as sha256sum prints it.
func (f *File) SHA256() string {
	hash := sha256.New()
	hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(f.header))))
	hash.Write(f.header)
	for chunk := range slices.Chunk(f.data, pages/4) {
		hash.Write(chunk)
		f.mapping.Use(len(chunk))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Close gives the memory back; the tensors' views become invalid.
func (f *File) Close() error {
	f.entries = nil
	return f.mapping.Close()
}

// The digest covers the header too, written with zeros in the digest's place.
const checksumKey = "sha256"

var noChecksum = strings.Repeat("0", hex.EncodedLen(sha256.Size))

func checksumField(digest string) []byte {
	return fmt.Appendf(nil, `"%s":"%s"`, checksumKey, digest)
}
