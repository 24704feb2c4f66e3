package pytorch

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seed adds the files of testdata and the attacks that begin with one of the
// prefixes.
func seed(f *testing.F, prefixes ...string) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.p*"))
	if err != nil {
		f.Fatal(err)
	}
	var files [][]byte
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, file)
	}
	for _, attack := range attacks(f) {
		files = append(files, attack.file)
	}
	for _, file := range files {
		for _, prefix := range prefixes {
			if bytes.HasPrefix(file, []byte(prefix)) && len(file) < 20_000 {
				f.Add(file)
			}
		}
	}
}

func FuzzZip(f *testing.F) {
	seed(f, "PK\x03\x04")
	f.Fuzz(exercise)
}

// FuzzPickle reads plain and legacy files, which begin alike.
func FuzzPickle(f *testing.F) {
	seed(f, "\x80")
	f.Fuzz(exercise)
}

// FuzzLegacy varies what follows the magic number.
func FuzzLegacy(f *testing.F) {
	magic := legacyOf("", "", "")[:15]
	for _, file := range [][]byte{
		legacyOf("}", "]", ""), legacyOf(legacyView(1), "]"+text("0")+"a", length(1)+"abcd"),
	} {
		f.Add(file[len(magic):])
	}
	if file, err := os.ReadFile(filepath.Join("testdata", "varied_legacy.pt")); err != nil || !bytes.HasPrefix(file, magic) {
		f.Fatal(err, "varied_legacy.pt does not begin with the magic number")
	} else {
		f.Add(file[len(magic):])
	}
	f.Fuzz(func(t *testing.T, rest []byte) {
		exercise(t, append(bytes.Clone(magic), rest...))
	})
}

// FuzzZippedPickle varies the pickle within an intact zip file.
func FuzzZippedPickle(f *testing.F) {
	f.Add(pickled(dict(text("a"), view(0, []int{2, 2}, []int{2, 1}), text("b"), view(1, []int{3}, []int{1}))))
	f.Add(pickled(call("collections\nOrderedDict") + "(" + text("a") + view(0, []int{2, 2}, []int{1, 2}) + "u}" + text("_metadata") + "}sb"))
	f.Fuzz(func(t *testing.T, pickle []byte) {
		exercise(t, zipped(t, pickle))
	})
}

// FuzzIndex varies the index of a sharded file whose shards are not there.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata": {"total_size": 4}, "weight_map": {"a": "a.safetensors"}}`))
	f.Fuzz(exercise)
}
