package checkpoint

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"
)

// Mapping is a file mapped into memory for reading, of which little more than
// the pages in use are held.
type Mapping struct {
	content mmap.MMap    // nil for an empty file
	read    atomic.Int64 // bytes used since pages were last given back
}

// Map maps a file into memory. Folders, pipes and the like are refused.
func Map(path string) (*Mapping, error) {
	info, err := os.Stat(path) // opening a pipe would wait for its writer
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot open the tensors: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder; name a .safetensors file in it", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file; copy the weights into one", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the tensors: %w", err)
	}
	defer file.Close()
	m := &Mapping{}
	if info.Size() > 0 { // an empty file cannot be mapped
		if m.content, err = mmap.Map(file, mmap.RDONLY, 0); err != nil {
			return nil, fmt.Errorf("cannot map %s into memory: %w", path, err)
		}
	}
	return m, nil
}

// Content returns the file's bytes, valid until [Mapping.Close]. Writing to them
// crashes the program.
func (m *Mapping) Content() []byte { return m.content }

// pages is the number of bytes used after which the pages read so far are given
// back to the system, so that reading a file does not hold it in memory.
const pages = 64 << 20

// Use takes note that n more bytes are being read. What is given back while
// still in use is read again from the file when touched.
func (m *Mapping) Use(n int) {
	if m.content != nil && m.read.Add(int64(n)) > pages {
		m.read.Store(0)
		_ = unix.Madvise(m.content, unix.MADV_DONTNEED)
	}
}

// need asks the system to begin reading bytes [from,to).
func (m *Mapping) need(from, to int) {
	from -= from % os.Getpagesize()
	_ = unix.Madvise(m.content[from:to], unix.MADV_WILLNEED)
}

// Close gives the memory back. It may be called twice.
func (m *Mapping) Close() error {
	if m.content == nil {
		return nil
	}
	return m.content.Unmap()
}
