package pytorch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// read reads a file from memory.
func read(content []byte, folder string) (*File, error) {
	f := newFile(&checkpoint.Mapping{})
	return f, f.read(content, folder)
}

// pickled puts a pickle of protocol 2 together from operations.
func pickled(operations ...string) []byte {
	return []byte("\x80\x02" + strings.Join(operations, "") + ".")
}

func text(s string) string { return string(appendString(nil, []byte(s))) }

func integer(n int) string {
	if n < 0 {
		return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return string(appendInt(nil, n))
}

func tuple(items ...string) string { return "(" + strings.Join(items, "") + "t" }

func dict(items ...string) string { return "}(" + strings.Join(items, "") + "u" }

func integers(list ...int) string {
	var items []string
	for _, n := range list {
		items = append(items, integer(n))
	}
	return tuple(items...)
}

func bytesObject(content []byte) string {
	return "B" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(content)))) + string(content)
}

// call is a callable, given as "module\nname", applied to a tuple.
func call(name string, arguments ...string) string {
	return "c" + name + "\n" + tuple(arguments...) + "R"
}

const rebuild = "torch._utils\n_rebuild_tensor_v2"

// floats is storage 0 of a zip file with count float32s.
func floats(count int) string { return storageOf("FloatStorage", "0", count) }

func storageOf(class, key string, count int, more ...string) string {
	id := append([]string{text("storage"), "ctorch\n" + class + "\n", text(key), text("cpu"), integer(count)}, more...)
	return tuple(id...) + "Q"
}

// view is a tensor of storage 0, which has 4 floats.
func view(offset int, shape, strides []int) string {
	return call(rebuild, floats(4), integer(offset), integers(shape...), integers(strides...), "\x89", "N")
}

// zipped makes a torch.save file of a pickle and storage 0 with 16 bytes.
func zipped(t testing.TB, pickle []byte) []byte {
	return zipOf(t, zip.Store, "a/data.pkl", string(pickle), "a/data/0", strings.Repeat("\x00\x00\x80\x3f", 4), "a/version", "3\n")
}

// zipOf makes a zip file of pairs of names and contents.
func zipOf(t testing.TB, method uint16, members ...string) []byte {
	t.Helper()
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for pair := range slices.Chunk(members, 2) {
		member, err := w.CreateHeader(&zip.FileHeader{Name: pair[0], Method: method})
		if err == nil {
			_, err = member.Write([]byte(pair[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// legacyOf makes a legacy file of an object, its storages' keys and their bytes.
func legacyOf(object, keys, data string) []byte {
	file := pickled("\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")
	file = append(file, pickled(integer(1001))...)
	file = append(file, pickled(dict(text("little_endian"), "\x88"))...)
	file = append(file, pickled(object)...)
	file = append(file, pickled(keys)...)
	return append(file, data...)
}

// legacyView is a tensor of the whole storage 0, which has count floats.
func legacyView(count int) string {
	return call(rebuild, storageOf("FloatStorage", "0", count, "N"), integer(0), integers(count), integers(1), "\x89", "N")
}

func length(n int) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }
