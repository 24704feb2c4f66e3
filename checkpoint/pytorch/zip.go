package pytorch

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// zip reads torch.save's zip format: a folder with the pickle data.pkl and, under
// data/, one member for each storage, uncompressed. limit bounds the bytes that
// the members have when unpacked.
func (d *decoder) zip(content []byte, limit int) (object any, err error) {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err := checkMembers(archive.File, limit); err != nil {
		return nil, err
	}
	members := map[string]*zip.File{} // by the path within the folder
	for _, member := range archive.File {
		path := member.Name
		if _, inner, ok := strings.Cut(path, "/"); ok {
			path = inner
		}
		if members[path] != nil {
			return nil, fmt.Errorf("%w: it has %.100q twice", ErrArchive, path)
		}
		members[path] = member
	}
	if members["data.pkl"] == nil {
		return nil, fmt.Errorf("%w: no data.pkl is in it", ErrFormat)
	}
	if order := members["byteorder"]; order != nil {
		if text, err := load(content, order, len("little")); err != nil || string(text) != "little" {
			return nil, fmt.Errorf("%w: it is big-endian", ErrFormat)
		}
	}
	d.storage = func(id []any) (*storage, error) {
		s, key, err := newStorage(id)
		if err != nil {
			return nil, err
		}
		member := members["data/"+key[:min(len(key), 100)]]
		if member == nil || member.UncompressedSize64 != uint64(s.size) {
			return nil, fmt.Errorf("%w: the archive has no member data/%.50s of %d bytes", ErrStorage, key, s.size)
		}
		if member.Method == zip.Store {
			s.data, err = stored(content, member)
		} else {
			s.member = member
		}
		return s, err
	}
	stream, err := load(content, members["data.pkl"], maxAllowance)
	if err != nil {
		return nil, err
	}
	object, _, err = d.decode(stream)
	return object, err
}

// checkMembers refuses members that overlap, are encrypted or unpack to too much.
func checkMembers(members []*zip.File, limit int) error {
	type span struct{ begin, end int64 }
	var spans []span
	left := uint64(limit)
	for _, member := range members {
		begin, err := member.DataOffset()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrArchive, err)
		}
		if member.UncompressedSize64 > left {
			return fmt.Errorf("%w: the members of its zip archive claim more than %d bytes", ErrTooLarge, limit)
		}
		left -= member.UncompressedSize64
		if member.Flags&1 != 0 {
			return fmt.Errorf("%w: %.100q is encrypted", ErrArchive, member.Name)
		}
		if member.CompressedSize64 > uint64(limit) {
			return fmt.Errorf("%w: %.100q is larger than the file", ErrArchive, member.Name)
		}
		spans = append(spans, span{begin, begin + int64(member.CompressedSize64)})
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	for i := 1; i < len(spans); i++ {
		if spans[i].begin < spans[i-1].end {
			return fmt.Errorf("%w: its members overlap", ErrArchive)
		}
	}
	return nil
}

// load returns a member's content: a view, or a copy if it is compressed.
func load(content []byte, member *zip.File, limit int) ([]byte, error) {
	if member.UncompressedSize64 > uint64(limit) {
		return nil, fmt.Errorf("%w: %.100q has %d bytes", ErrTooLarge, member.Name, member.UncompressedSize64)
	}
	if member.Method == zip.Store {
		return stored(content, member)
	}
	return inflate(member)
}

// stored returns the view of an uncompressed member.
func stored(content []byte, member *zip.File) ([]byte, error) {
	offset, err := member.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	size := member.UncompressedSize64
	if size != member.CompressedSize64 || size > uint64(len(content)) || uint64(offset) > uint64(len(content))-size {
		return nil, fmt.Errorf("%w: %.100q does not lie in it", ErrArchive, member.Name)
	}
	end := uint64(offset) + size
	return content[offset:end:end], nil
}

// inflate returns a compressed member's content. Its size has been checked; if
// the content goes on beyond it, the zip package reports that.
func inflate(member *zip.File) ([]byte, error) {
	r, err := member.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, int64(member.UncompressedSize64)+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %.100q: %w", ErrArchive, member.Name, err)
	}
	if uint64(len(content)) != member.UncompressedSize64 {
		return nil, fmt.Errorf("%w: %.100q is longer than it claims", ErrArchive, member.Name)
	}
	return content, nil
}
