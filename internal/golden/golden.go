// Package golden reads the numbers of the reference implementation that tests
// compare with: safetensors files whose metadata say how they were made.
package golden

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Run runs a subtest on every file of the golden folder whose name starts with
// one of the prefixes. The folder is PAGODA_GOLDEN, or the repository's own.
func Run(t *testing.T, test func(t *testing.T, f *File), prefixes ...string) {
	t.Helper()
	dir := os.Getenv("PAGODA_GOLDEN")
	if dir == "" {
		dir = filepath.Join("..", "testdata", "golden")
	}
	found := false
	for _, prefix := range prefixes {
		paths, err := filepath.Glob(filepath.Join(dir, prefix+"*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			found = true
			t.Run(strings.TrimSuffix(filepath.Base(path), ".safetensors"), func(t *testing.T) {
				s := torch.NewScope(torch.CPU)
				t.Cleanup(s.Close)
				test(t, open(t, s, path))
			})
		}
	}
	if !found {
		t.Fatalf("no files %v in %s", prefixes, dir)
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
	from := f.file.Metadata()["params_from"]
	if from == "" {
		return f
	}
	return open(f.t, f.Scope, filepath.Join(filepath.Dir(f.path), from))
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

// Int is a metadata entry or 0 when it is absent or None; True is 1.
func (f *File) Int(key string) int { return int(f.Number(key)) }

// Number is a metadata entry or 0 when it is absent or None; True is 1.
func (f *File) Number(key string) float64 {
	text := f.Text(key)
	switch text {
	case "", "None", "False":
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

var number = regexp.MustCompile(`[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?`)

// Numbers is a metadata entry that holds a Python tuple or list of numbers.
func (f *File) Numbers(key string) []float64 {
	var out []float64
	for _, text := range number.FindAllString(f.Text(key), -1) {
		v, _ := strconv.ParseFloat(text, 64)
		out = append(out, v)
	}
	return out
}

// Entry is a number inside a metadata entry that holds a Python dict literal.
func (f *File) Entry(key, entry string) float64 {
	_, rest, ok := strings.Cut(f.Text(key), "'"+entry+"':")
	if !ok {
		f.t.Fatalf("metadata %s has no %s", key, entry)
	}
	v, err := strconv.ParseFloat(number.FindString(rest), 64)
	if err != nil {
		f.t.Fatalf("metadata %s: %s is no number", key, entry)
	}
	return v
}

// Compare fails unless max|got-want| <= tolerance·max|want|, or, where
// floor is positive, max|got-want| <= floor; want is the stored tensor.
func (f *File) Compare(name string, got *torch.Tensor, tolerance, floor float64) {
	f.t.Helper()
	f.CompareFloats(name, got.Float64s(), tolerance, floor)
}

// CompareFloats is Compare for plain numbers.
func (f *File) CompareFloats(name string, got []float64, tolerance, floor float64) {
	f.t.Helper()
	want := f.Tensor(name).Float64s()
	if len(got) != len(want) {
		f.t.Errorf("%s: %d elements, want %d", name, len(got), len(want))
		return
	}
	worst, top := 0., 0.
	for i := range want {
		d := math.Abs(got[i] - want[i])
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		worst, top = max(worst, d), max(top, math.Abs(want[i]))
	}
	if worst > tolerance*top && worst > floor {
		f.t.Errorf("%s: off by %.3g of %.3g, tolerance %.3g", name, worst, top, tolerance)
	}
}

// CompareGradients compares gradients of parameters with the stored ones, whole
// (`<infix>name`) or thinned (`gradrows`, `gradnorm`), where prefix is what stands in front of "grad".
func (f *File) CompareGradients(prefix, infix string, names []string, grads []*torch.Tensor, tolerance float64) {
	f.t.Helper()
	floor := f.Number("grad_abs_floor")
	if floor == 0 {
		floor = f.Number(prefix + "grad_abs_floor" + strings.TrimSuffix(infix, "."))
	}
	compared := 0
	for i, name := range names {
		full := prefix + "grad" + infix + name
		if f.Has(full) {
			f.Compare(full, grads[i], tolerance, floor)
			compared++
		}
		rows := prefix + "gradrows" + infix + name
		if !f.Has(rows) {
			continue
		}
		compared++
		stride, values := f.Int("gradrows_stride"), grads[i].Float64s()
		row := len(values) / grads[i].Dim(0)
		var thin []float64
		for r := 0; r < grads[i].Dim(0); r += stride {
			thin = append(thin, values[r*row:(r+1)*row]...)
		}
		f.CompareFloats(rows, thin, tolerance, floor)
		norm := torch.Norm(grads[i : i+1])
		f.CompareFloats(prefix+"gradnorm"+infix+name, []float64{norm}, tolerance, floor)
	}
	if compared == 0 {
		f.t.Errorf("no gradients %sgrad%s* in the file", prefix, infix)
	}
}
