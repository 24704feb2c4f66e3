package pytorch

import (
	"archive/zip"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// archive writes a zip file as torch.save does: members uncompressed, in one
// folder, their contents aligned.
type archive struct {
	writer  *zip.Writer
	written counter
	err     error // the first; nothing is written after it
}

func newArchive(w io.Writer) *archive {
	a := &archive{written: counter{Writer: w}}
	a.writer = zip.NewWriter(&a.written)
	return a
}

// add writes a member.
func (a *archive) add(name string, content []byte) {
	if a.err != nil {
		return
	}
	if a.err = a.writer.Flush(); a.err != nil { // so that the count is complete
		return
	}
	const alignment, localHeader, extraHeader = 64, 30, 4
	name = "archive/" + name
	begin := a.written.bytes + localHeader + len(name) + extraHeader
	padding := (alignment - begin%alignment) % alignment
	extra := binary.LittleEndian.AppendUint16([]byte("FB"), uint16(padding))
	member, err := a.writer.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content)),
		Extra: append(extra, make([]byte, padding)...),
	})
	if err == nil {
		_, err = member.Write(content)
	}
	a.err = err
}

// close writes the directory.
func (a *archive) close() error {
	if a.err != nil {
		return a.err
	}
	return a.writer.Close()
}

// counter counts the bytes that pass through it.
type counter struct {
	io.Writer
	bytes int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.bytes += n
	return n, err
}
