package pytorch

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// The files of testdata were written by PyTorch 1.13, mostly of torch.arange(n)
// in some shape and type.

func open(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// floatsOf returns a tensor's elements and its shape.
func floatsOf(t *testing.T, f *File, name string) ([]float32, []int) {
	t.Helper()
	tensor, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	values, err := checkpoint.Float32s(tensor)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return values, tensor.Shape
}

type expected struct {
	shape  []int
	values []float32
}

func compare(t *testing.T, f *File, want map[string]expected) {
	t.Helper()
	for name, want := range want {
		values, shape := floatsOf(t, f, name)
		if !slices.Equal(shape, want.shape) || !slices.Equal(values, want.values) {
			t.Errorf("%s: %v %v, want %v %v", name, shape, values, want.shape, want.values)
		}
	}
}

var six = []float32{0, 1, 2, 3, 4, 5}

// varied are the floating-point tensors of the varied files.
var varied = map[string]expected{
	"f64": {[]int{2, 3}, six}, "f32": {[]int{2, 3}, six}, "f16": {[]int{2, 3}, six}, "bf16": {[]int{2, 3}, six},
	"scalar": {nil, []float32{2.5}},
	"empty":  {[]int{0, 3}, nil},
	"transposed": {[]int{6, 4}, []float32{
		0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23}},
	"column":        {[]int{4}, []float32{1, 7, 13, 19}},
	"block":         {[]int{2, 2}, []float32{8, 9, 14, 15}},
	"rows":          {[]int{2, 6}, []float32{12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}},
	"channels_last": {[]int{1, 2, 2, 2}, []float32{0, 1, 2, 3, 4, 5, 6, 7}},
	"expanded":      {[]int{2, 3}, []float32{0, 0, 0, 1, 1, 1}},
	"shared.a":      {[]int{10}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	"shared.again":  {[]int{10}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	"shared.b":      {[]int{3}, []float32{3, 4, 5}},
	"parameter":     {[]int{3}, []float32{0, 1, 2}},
}

// discrete are the others, as type and bytes.
var discrete = map[string]checkpoint.Tensor{
	"i64":  {DType: checkpoint.I64, Data: []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00")},
	"i32":  {DType: checkpoint.I32, Data: []byte("\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00\x00")},
	"i16":  {DType: checkpoint.I16, Data: []byte("\x00\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00")},
	"i8":   {DType: checkpoint.I8, Data: []byte("\x00\x01\x02\x03\x04\x05")},
	"u8":   {DType: checkpoint.U8, Data: []byte("\x00\x01\x02\x03\x04\x05")},
	"bool": {DType: checkpoint.Bool, Data: []byte("\x00\x00\x00\x01\x01\x01")},
	"c64":  {DType: checkpoint.C64, Data: []byte("\x00\x00\x00\x00\x00\x00\x00\x80\x00\x00\x80\x3f\x00\x00\x80\xbf")},
}

func TestVaried(t *testing.T) {
	for name, format := range map[string]Format{
		"varied.pt": Zip, "varied_protocol4.pt": Zip, "varied_deflated.pt": Zip, "varied_legacy.pt": Legacy,
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name)
			if f.Format() != format {
				t.Errorf("format %q, want %q", f.Format(), format)
			}
			compare(t, f, varied)
			for name, want := range discrete {
				got, err := f.Tensor(name)
				if err != nil || got.DType != want.DType || !bytes.Equal(got.Data, want.Data) {
					t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
				}
			}
			want := slices.Sorted(maps.Keys(varied))
			want = append(want, slices.Collect(maps.Keys(discrete))...)
			slices.Sort(want)
			if !slices.Equal(f.Names(), want) {
				t.Errorf("names %q, want %q", f.Names(), want)
			}
		})
	}
}

func TestTraining(t *testing.T) {
	for name, format := range map[string]Format{"training.pt": Zip, "training_legacy.pt": Legacy} {
		f := open(t, name)
		if f.Format() != format || len(f.Names()) != 23 {
			t.Errorf("%s: %q with %d tensors", name, f.Format(), len(f.Names()))
		}
		compare(t, f, map[string]expected{
			"7":                        {[]int{1}, []float32{0}},
			"args.tensor":              {[]int{1}, []float32{0}},
			"list.1.0":                 {[]int{2}, []float32{0, 1}},
			"optimizer.state.3.step":   {nil, []float32{1}},
			"state_dict.1.running_var": {[]int{2}, []float32{0.9, 0.9}},
		})
	}
}

// Modules that were pickled whole have the names of their state_dict.
func TestModule(t *testing.T) {
	want := []string{"0.bias", "0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight"}
	for _, name := range []string{"module.pt", "module_legacy.pt"} {
		f := open(t, name)
		if !slices.Equal(f.Names(), want) {
			t.Errorf("%s: %q, want %q", name, f.Names(), want)
		}
		compare(t, f, map[string]expected{"0.weight": {[]int{1, 2}, []float32{0, 1}}})
	}
}

func TestBareTensor(t *testing.T) {
	compare(t, open(t, "tensor.pt"), map[string]expected{"": {[]int{2, 2}, []float32{0, 1, 2, 3}}})
}

// What lies in row-major order is not copied, whatever the strides of sides of 1 are.
func TestViews(t *testing.T) {
	for name, test := range map[string]struct {
		tensor string
		copied bool
	}{
		"whole":       {view(0, []int{2, 2}, []int{2, 1}), false},
		"part":        {view(1, []int{3}, []int{1}), false},
		"sides of 1":  {view(0, []int{1, 4, 1}, []int{7, 1, 9}), false},
		"transposed":  {view(0, []int{2, 2}, []int{1, 2}), true},
		"every other": {view(0, []int{2}, []int{2}), true},
	} {
		file := zipped(t, pickled(test.tensor))
		f, err := read(file, "")
		if err != nil {
			t.Fatal(err)
		}
		tensor, err := f.Tensor("")
		if err != nil {
			t.Fatal(err)
		}
		tensor.Data[0] ^= 0xff
		again, err := f.Tensor("")
		if err != nil || (again.Data[0] != tensor.Data[0]) != test.copied {
			t.Errorf("%s: copied %v, want %v, %v", name, !test.copied, test.copied, err)
		}
	}
}

// PyTorch 2 saves types for which it never had a storage class like this.
func TestUntypedStorage(t *testing.T) {
	f, err := read(zipped(t, pickled(dict(text("a"), call("torch._utils\n_rebuild_tensor_v3",
		tuple(text("storage"), "ctorch.storage\nUntypedStorage\n", text("0"), text("cpu"), integer(16))+"Q",
		integer(1), integers(2, 3), integers(3, 1), "\x89", "N", "ctorch\nuint16\n")))), "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Tensor("a")
	want := []byte("\x80\x3f\x00\x00\x80\x3f\x00\x00\x80\x3f\x00\x00")
	if err != nil || got.DType != checkpoint.U16 || !bytes.Equal(got.Data, want) {
		t.Errorf("%+v, %v, want %s %v", got, err, checkpoint.U16, want)
	}
}

// Python 2 gave the items of an OrderedDict to its constructor.
func TestPython2(t *testing.T) {
	one := view(0, []int{1}, []int{1})
	f, err := read(zipped(t, pickled(call("collections\nOrderedDict", "](]("+text("a")+one+"e"+"]("+text("b")+one+"ee"))), "")
	if err != nil || !slices.Equal(f.Names(), []string{"a", "b"}) {
		t.Errorf("%v, %v", f, err)
	}
}

// The class embeddings of StyleGAN-XL and PaGoDA were pickled by dill, which
// fetches Python's own types through a function.
func TestDill(t *testing.T) {
	set := call("dill._dill\n_load_type", text("set")) + tuple("]") + "R"
	f, err := read(zipped(t, pickled(dict(text("embed"), view(0, []int{2, 2}, []int{2, 1}), text("unsaved"), set))), "")
	if err != nil {
		t.Fatal(err)
	}
	if names := f.Names(); !slices.Equal(names, []string{"embed"}) {
		t.Errorf("%q", names)
	}
	for _, arguments := range [][]string{{text("eval")}, {integer(1)}, {}} {
		if _, err := read(pickled(call("dill._dill\n_load_type", arguments...)), ""); !errors.Is(err, ErrRefused) && !errors.Is(err, ErrPickle) {
			t.Errorf("type %q: %v", arguments, err)
		}
	}
}

func TestPlainSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights.bin")
	if err := checkpoint.Write(path, map[string]checkpoint.Tensor{"x": checkpoint.FromFloat32s([]float32{7}, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Format() != Safetensors {
		t.Errorf("format %q", f.Format())
	}
	compare(t, f, map[string]expected{"x": {[]int{1}, []float32{7}}})
}

func TestClosed(t *testing.T) {
	f := open(t, "varied.pt")
	if _, err := f.Tensor("none"); !errors.Is(err, checkpoint.ErrNoTensor) {
		t.Errorf("missing tensor: %v", err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.Tensor("f32"); !errors.Is(err, checkpoint.ErrNoTensor) {
		t.Errorf("tensor of a closed file: %v", err)
	}
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want %v", err, os.ErrNotExist)
	}
}
