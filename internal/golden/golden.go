// Package golden reads the numbers of the reference implementation that tests
// compare with: safetensors files whose metadata say how they were made.
//
// The files lie in testdata/golden. The environment variable PAGODA_GOLDEN names
// another folder, for files of the same kinds (name prefixes) with other sizes,
// seeds and settings: the tests of kinds that it lacks are skipped. A relative
// name is looked for in the package's folder, then in the module's.
package golden

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// module is the module's folder, seen from that of a package.
const module = ".."

// own is the repository's folder of golden files.
var own = filepath.Join(module, "testdata", "golden")

// Folder is where the golden files lie; isOwn tells that it is the repository's
// folder, which has files of every kind. A folder without any golden file fails the test.
func Folder(t *testing.T) (folder string, isOwn bool) {
	t.Helper()
	folder = os.Getenv("PAGODA_GOLDEN")
	if folder == "" {
		return own, true
	}
	if _, err := os.Stat(folder); err != nil && !filepath.IsAbs(folder) {
		folder = filepath.Join(module, folder)
	}
	if paths, err := filepath.Glob(filepath.Join(folder, "*.safetensors")); err != nil || len(paths) == 0 {
		t.Fatalf("PAGODA_GOLDEN is %s: no *.safetensors there", folder)
	}
	return folder, false
}

// Run runs a subtest on every file of the golden folder whose name starts with
// one of the prefixes. Where there is none the test fails, or is skipped when
// the folder is not the repository's own.
func Run(t *testing.T, test func(t *testing.T, f *File), prefixes ...string) {
	t.Helper()
	folder, isOwn := Folder(t)
	found := false
	for _, prefix := range prefixes {
		paths, err := filepath.Glob(filepath.Join(folder, prefix+"*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			found = true
			t.Run(strings.TrimSuffix(filepath.Base(path), ".safetensors"), func(t *testing.T) {
				s := torch.NewScope(testdevice.Device())
				t.Cleanup(s.Close)
				test(t, open(t, s, path))
			})
		}
	}
	switch {
	case found:
	case isOwn:
		t.Fatalf("no files %v in %s", prefixes, folder)
	default:
		t.Skipf("no files %v in %s", prefixes, folder)
	}
}

// File is one open file; its tensors live in Scope until the subtest ends.
type File struct {
	Scope *torch.Scope
	t     *testing.T
	path  string
	file  *checkpoint.File
}

func open(t *testing.T, s *torch.Scope, path string) *File {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &File{s, t, path, f}
}

// Names are the names of the tensors.
func (f *File) Names() []string { return f.file.Names() }

// Has tells whether there is a tensor of that name.
func (f *File) Has(name string) bool {
	_, err := f.file.Tensor(name)
	return err == nil
}

// Tensor reads a tensor; integers are stored as floats.
func (f *File) Tensor(name string) *torch.Tensor {
	f.t.Helper()
	raw, err := f.file.Tensor(name)
	if err != nil {
		f.t.Fatal(err)
	}
	if raw.DType == checkpoint.U8 {
		return f.Scope.FromBytes(raw.Data, torch.Uint8, raw.Shape...)
	}
	values, err := checkpoint.Float32s(raw)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.Scope.FromFloat32(values, raw.Shape...)
}

// Floats reads a tensor's elements.
func (f *File) Floats(name string) []float32 { return f.Tensor(name).Float32s() }

// Ints reads a tensor of integers; nil when there is none of that name.
func (f *File) Ints(name string) []int64 {
	if !f.Has(name) {
		return nil
	}
	var out []int64
	for _, v := range f.Floats(name) {
		out = append(out, int64(math.Round(float64(v))))
	}
	return out
}

// Params is the file whose `param.*` tensors are to be used: this one or that of `params_from`.
func (f *File) Params() *File {
	f.t.Helper()
	from := f.Text("params_from")
	if from == "" {
		return f
	}
	if other := f.Sibling(from); other != nil {
		return other
	}
	f.t.Fatalf("metadata params_from names %s: there is no such file", from)
	return nil
}

// Sibling opens the first golden file of a name (a pattern of [filepath.Glob]),
// from this file's folder or else from the repository's; nil when there is none.
func (f *File) Sibling(name string) *File {
	f.t.Helper()
	for _, folder := range []string{filepath.Dir(f.path), own} {
		if paths, _ := filepath.Glob(filepath.Join(folder, name)); len(paths) > 0 {
			return open(f.t, f.Scope, paths[0])
		}
	}
	return nil
}

// Load gives a network the file's parameters, which are stored under prefix+name.
func (f *File) Load(p *nn.Params, prefix string) {
	f.t.Helper()
	if err := p.Load(f.file, prefix); err != nil {
		f.t.Fatal(err)
	}
}

// Text is a metadata entry; empty when absent.
func (f *File) Text(key string) string { return f.file.Metadata()[key] }

// Int is Number as a whole number.
func (f *File) Int(key string) int {
	f.t.Helper()
	return int(f.Number(key))
}

// Number is a metadata entry; None is 0 and True is 1. An absent one fails the test.
func (f *File) Number(key string) float64 {
	f.t.Helper()
	text, ok := f.file.Metadata()[key]
	if !ok {
		f.t.Fatalf("there is no metadata %s", key)
	}
	switch text {
	case "None", "False":
		return 0
	case "True":
		return 1
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		f.t.Fatalf("metadata %s is %q, not a number", key, text)
	}
	return v
}

// NumberOr is Number, or the reference's default where the entry is absent.
func (f *File) NumberOr(key string, otherwise float64) float64 {
	f.t.Helper()
	if _, ok := f.file.Metadata()[key]; !ok {
		return otherwise
	}
	return f.Number(key)
}

// Numbers is a metadata entry that holds a Python tuple or list of numbers.
func (f *File) Numbers(key string) []float64 {
	f.t.Helper()
	var out []float64
	f.Decode(key, &out)
	return out
}
