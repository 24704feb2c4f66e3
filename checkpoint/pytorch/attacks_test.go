package pytorch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

type attack struct {
	name string
	file []byte
	want error
}

// attacks are files that must be refused, each with the reason.
func attacks(t testing.TB) []attack {
	one := view(0, []int{1}, []int{1})
	list := []attack{
		{"empty", nil, ErrFormat},
		{"text", []byte("hello"), ErrFormat},
		{"protocol 0", []byte("cposix\nsystem\n(S'false'\ntR."), ErrFormat},
		{"JSON", []byte(`{"a": 1}`), ErrFormat},
		{"JSON cut", []byte(`{"weight_map": {`), ErrFormat},
		{"JSON deep", []byte(strings.Repeat(`{"weight_map":`, 100_000)), ErrFormat},
		{"shard elsewhere", []byte(`{"weight_map": {"a": "../a.safetensors"}}`), ErrShard},
		{"safetensors cut", []byte("\x40\x00\x00\x00\x00\x00\x00\x00{}"), checkpoint.ErrTooShort},
		// Pickles.
		{"only a protocol", []byte("\x80\x02"), ErrPickle},
		{"nothing on the stack", pickled(), ErrPickle},
		{"protocol 9", []byte("\x80\x09}."), ErrPickle},
		{"unknown operation", pickled("}\xff"), ErrPickle},
		{"operation of protocol 0", pickled("I1\n"), ErrPickle},
		{"instance of protocol 0", pickled("(iposix\nsystem\n"), ErrPickle},
		{"extension registry", pickled("\x82\x01"), ErrPickle},
		{"buffer outside", []byte("\x80\x05\x97."), ErrPickle},
		{"string claims 4 GB", []byte("\x80\x02X\xff\xff\xff\xffabc"), ErrPickle},
		{"string claims 2⁶³", []byte("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc"), ErrPickle},
		{"bytes claim 2⁶⁴", []byte("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc"), ErrPickle},
		{"bytearray claims 2⁴⁰", []byte("\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00abc"), ErrPickle},
		{"number claims 2 GB", []byte("\x80\x02\x8b\xff\xff\xff\x7f\x01."), ErrPickle},
		{"number of no bytes", pickled("\x8a\x00"), ErrPickle},
		{"callable without end", []byte("\x80\x02cposix"), ErrPickle},
		{"callable of a megabyte", pickled("c" + strings.Repeat("a", 1<<20) + "\nb\n"), ErrPickle},
		{"string of 5 MB", pickled(text(strings.Repeat("a", 5<<20))), ErrTooLarge},
		{"million marks", pickled(strings.Repeat("(", 2<<20)), ErrTooLarge},
		{"million dicts", pickled(strings.Repeat("}", 2<<20)), ErrTooLarge},
		{"million lists within each other", pickled(strings.Repeat("]", 1000), strings.Repeat("a", 999)), ErrTooLarge},
		{"dict in itself", pickled("}q\x00", text("a"), "h\x00s"), ErrTooLarge},
		{"list in itself", pickled("]q\x00h\x00a"), ErrTooLarge},
		{"doubling lists", pickled("]", strings.Repeat("q\x000](h\x00h\x00e", 60)), ErrTooLarge},
		{"odd dict", pickled("}(", text("a"), "u"), ErrPickle},
		{"call of a number", pickled(integer(1), ")R"), ErrPickle},
		{"attributes of a number", pickled(integer(1), "}b"), ErrPickle},
		{"attributes of a large dict", pickled(dict(strings.Repeat(text("key")+text("value"), 1000)), "}b"), ErrPickle},
		{"list as set item", pickled("\x8f(", bytesObject(nil), "\x90"), ErrPickle},
		{"persistent id", pickled(floats(4)), ErrPickle},
		{"bytes object 9", pickled(integer(9), "Q"), ErrPickle},
		{"bytes object −1", pickled(integer(-1), "Q"), ErrPickle},
		{"tuple as key", pickled(dict(tuple(integer(1)), integer(1))), ErrPickle},
		{"name of 2 kB", pickled(dict(text(strings.Repeat("a", 2000)), integer(1))), ErrName},
		// Storages within a pickle.
		{"bytes that are no storage", pickled(call("torch.storage\n_load_from_bytes", bytesObject([]byte("abc")))), ErrPickle},
		{"number for bytes", pickled(call("torch.storage\n_load_from_bytes", integer(1))), ErrPickle},
		{"bytes in bytes", pickled(call("torch.storage\n_load_from_bytes", bytesObject(
			legacyOf(call("torch.storage\n_load_from_bytes", bytesObject(legacyOf("N", "]", ""))), "]", "")))), ErrPickle},
		// Legacy files.
		{"legacy cut", legacyOf("}", "]", "")[:40], ErrPickle},
		{"legacy without data", legacyOf(legacyView(1), "]"+text("0")+"a", ""), ErrStorage},
		{"legacy data cut", legacyOf(legacyView(1), "]"+text("0")+"a", length(1)+"abc"), ErrStorage},
		{"legacy data of another size", legacyOf(legacyView(1), "]"+text("0")+"a", length(2)+"abcdefgh"), ErrStorage},
		{"legacy storage unused", legacyOf("}", "]"+text("0")+"a", length(1)+"abcd"), ErrStorage},
		{"legacy storage twice", legacyOf(legacyView(1), "]("+text("0")+text("0")+"e", length(1)+"abcd"+length(1)+"abcd"), ErrStorage},
		{"legacy storage not listed", legacyOf(legacyView(1), "]", ""), ErrStorage},
		{"legacy storage in two sizes", legacyOf("]("+legacyView(1)+legacyView(2)+"e", "]"+text("0")+"a", length(2)+"abcdefgh"), ErrStorage},
		{"legacy storage absurd", legacyOf(legacyView(1<<47), "]"+text("0")+"a", length(1<<47)), ErrStorage},
		{"legacy storage view", legacyOf(storageOf("FloatStorage", "0", 1, tuple(text("1"), integer(0), integer(1))), "]", ""), ErrPickle},
		{"legacy version", bytes.Replace(legacyOf("}", "]", ""), []byte(integer(1001)), []byte(integer(1002)), 1), ErrFormat},
		{"legacy big-endian", bytes.Replace(legacyOf("}", "]", ""), []byte("\x88"), []byte("\x89"), 1), ErrFormat},
		{"legacy keys", legacyOf("}", "}", ""), ErrPickle},
		// Zip files.
		{"zip header", []byte("PK\x03\x04"), ErrArchive},
		{"zip cut", zipped(t, pickled(one))[:400], ErrArchive},
		{"zip without pickle", zipOf(t, zip.Store, "a/b", "c"), ErrFormat},
		{"two pickles", zipOf(t, zip.Store, "a/data.pkl", string(pickled("}")), "b/data.pkl", string(pickled("}"))), ErrArchive},
		{"big-endian", zipOf(t, zip.Store, "a/data.pkl", string(pickled("}")), "a/byteorder", "big"), ErrFormat},
		{"storage missing", zipped(t, pickled(storageOf("FloatStorage", "1", 4))), ErrStorage},
		{"storage of another size", zipped(t, pickled(floats(5))), ErrStorage},
		{"storage of another type", zipped(t, pickled(storageOf("DoubleStorage", "0", 4))), ErrStorage},
		{"storage out of the folder", zipped(t, pickled(storageOf("FloatStorage", "../data.pkl", 4))), ErrStorage},
		{"storage of −4", zipped(t, pickled(floats(-4))), ErrPickle},
		{"storage of 2⁶²", zipped(t, pickled(floats(1<<62))), ErrPickle},
		{"zip bomb", zipOf(t, zip.Deflate, "a/data.pkl", string(pickled(one)), "a/data/0", strings.Repeat("\x00", 10<<20)), ErrTooLarge},
		{"pickle bomb", zipOf(t, zip.Deflate, "a/data.pkl", string(pickled(strings.Repeat("(", 10<<20)))), ErrTooLarge},
		// Tensors.
		{"view past the end", zipped(t, pickled(view(1, []int{4}, []int{1}))), checkpoint.ErrOffsets},
		{"steps past the end", zipped(t, pickled(view(0, []int{2, 2}, []int{3, 1}))), checkpoint.ErrOffsets},
		{"steps of 2⁴⁸", zipped(t, pickled(view(0, []int{3}, []int{1 << 48}))), checkpoint.ErrOffsets},
		{"negative step", zipped(t, pickled(view(3, []int{2}, []int{-1}))), ErrPickle},
		{"negative side", zipped(t, pickled(view(0, []int{-1}, []int{1}))), ErrPickle},
		{"negative offset", zipped(t, pickled(view(-1, []int{1}, []int{1}))), ErrPickle},
		{"shape overflows", zipped(t, pickled(view(0, []int{1 << 40, 1 << 40}, []int{0, 0}))), checkpoint.ErrShape},
		{"shape wraps round", zipped(t, pickled(view(0, []int{1 << 32, 1 << 32}, []int{0, 0}))), checkpoint.ErrShape},
		{"one element expanded to a gigabyte", zipped(t, pickled(view(0, []int{1 << 28}, []int{0}))), checkpoint.ErrShape},
		{"one element expanded many times", zipped(t, pickled("("+view(0, []int{64}, []int{0})+"q\x00"+strings.Repeat("h\x00", 100)+"t")), checkpoint.ErrShape},
		{"100 dimensions", zipped(t, pickled(view(0, make([]int, 100), make([]int, 100)))), ErrPickle},
		{"fewer strides than sides", zipped(t, pickled(view(0, []int{1, 1}, []int{1}))), ErrPickle},
		{"fractional side", zipped(t, pickled(call(rebuild, floats(4), integer(0), tuple("G\x3f\xf0\x00\x00\x00\x00\x00\x00"), integers(1)))), ErrPickle},
		{"tensor of no storage", zipped(t, pickled(call(rebuild, integer(1), integer(0), integers(1), integers(1)))), ErrPickle},
		{"tensor of nothing", zipped(t, pickled(call(rebuild))), ErrPickle},
		{"negative view", zipped(t, pickled(call(rebuild, floats(4), integer(0), integers(1), integers(1), "\x89", "N", dict(text("neg"), "\x88")))), ErrFormat},
		{"parameter of nothing", zipped(t, pickled(call("torch._utils\n_rebuild_parameter", integer(1)))), ErrPickle},
		{"two of a name", zipped(t, pickled(dict(text("a.b"), one, text("a"), dict(text("b"), one)))), ErrName},
	}
	for _, name := range []string{
		"posix\nsystem", "os\nsystem", "nt\nsystem", "subprocess\nPopen", "builtins\neval", "builtins\nexec", "builtins\ngetattr",
		"builtins\n__import__", "__builtin__\neval", "operator\nattrgetter", "functools\npartial", "torch\nload",
		"torch.hub\nload", "numpy.testing._private.utils\nrunstring", "runpy\n_run_code", "webbrowser\nopen",
		"torch.storage\n_load_from_bytes.__globals__", "torch\nQInt8Storage", "torch.jit\nload", "", "\n",
	} {
		module, function, _ := strings.Cut(name, "\n")
		list = append(list,
			attack{"global " + name, pickled("c" + module + "\n" + function + "\n"), ErrRefused},
			attack{"stack global " + name, pickled(text(module), text(function), "\x93"), ErrRefused},
			attack{"zipped " + name, zipped(t, pickled("c"+module+"\n"+function+"\n"+text("false")+"\x85R")), ErrRefused},
			attack{"within bytes " + name, pickled(call("torch.storage\n_load_from_bytes",
				bytesObject(legacyOf("c"+module+"\n"+function+"\n", "]", "")))), ErrRefused},
		)
	}
	return append(list, overlap(t))
}

// overlap is a zip file two of whose members are the same bytes.
func overlap(t testing.TB) attack {
	file := zipOf(t, zip.Store, "a/data.pkl", string(pickled("}")), "a/data/0", "abcd", "a/data/1", "abcd")
	directory := bytes.Index(file, []byte("PK\x01\x02"))
	first := directory + bytes.Index(file[directory:], []byte("a/data/0")) - 46
	second := directory + bytes.Index(file[directory:], []byte("a/data/1")) - 46
	const localOffset = 42
	offset := binary.LittleEndian.Uint32(file[first+localOffset:])
	binary.LittleEndian.PutUint32(file[second+localOffset:], offset)
	return attack{"zip members overlap", file, ErrArchive}
}

func TestAttacks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attack")
	for _, attack := range attacks(t) {
		t.Run(attack.name, func(t *testing.T) {
			if err := os.WriteFile(path, attack.file, 0o666); err != nil {
				t.Fatal(err)
			}
			before := allocated()
			f, err := Open(path)
			if err == nil {
				for _, name := range f.Names() {
					if _, err = f.Tensor(name); err != nil {
						break
					}
				}
			}
			if !errors.Is(err, attack.want) {
				t.Errorf("%v, want %v", err, attack.want)
			} else if message := err.Error(); !strings.Contains(message, path) || strings.ContainsAny(message, "\n") || len(message) > 1000 {
				t.Errorf("message %.2000q", message)
			}
			if got, bound := allocated()-before, allocationBound(len(attack.file)); got > bound {
				t.Errorf("allocated %d bytes for a file of %d", got, len(attack.file))
			}
		})
	}
}

// allocationBound is what reading a file of so many bytes may allocate.
func allocationBound(size int) uint64 {
	return 1<<20 + uint64(min(maxAllowance, allowancePerByte*size))
}

// allocated returns the bytes allocated since the program began.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// What real programs wrote is refused in one sentence that says what is wrong.
func TestRefusal(t *testing.T) {
	for name, callable := range map[string]string{"attack_system.pt": "posix.system", "attack_eval.pkl": "builtins.eval"} {
		path := filepath.Join("testdata", name)
		_, err := Open(path)
		want := path + " names the callable " + callable + ", which weight files have no need of; refused"
		if !errors.Is(err, ErrRefused) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Every prefix of a real file, and every file with one byte changed, is read or
// refused; neither a panic nor a tensor of the wrong size comes out.
func TestDamaged(t *testing.T) {
	for _, name := range []string{"varied.pt", "varied_legacy.pt", "edm.pkl", "varied_deflated.pt"} {
		file, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := range file {
			exercise(t, file[:n])
			file[n] ^= 0xff
			exercise(t, file)
			file[n] ^= 0xff
		}
	}
}

// exercise reads a file and all its tensors and checks what it promises of any.
func exercise(t *testing.T, file []byte) {
	t.Helper()
	before := allocated()
	f, err := read(file, filepath.Join("testdata", "none"))
	if got := allocated() - before; got > 4<<20+allocationBound(len(file)) {
		t.Fatalf("allocated %d bytes for a file of %d", got, len(file))
	}
	if err != nil {
		return
	}
	total := 0
	for _, name := range f.Names() {
		tensor, err := f.Tensor(name)
		if err != nil {
			continue // compressed and damaged
		}
		size := tensor.DType.Size()
		for _, n := range tensor.Shape {
			size *= n
		}
		if size == 0 && len(tensor.Data) != 0 || size != len(tensor.Data) {
			t.Fatalf("%q: %d bytes for %s%v", name, len(tensor.Data), tensor.DType, tensor.Shape)
		}
		total += size
	}
	if total > (unpacked+8)*len(file) {
		t.Fatalf("%d bytes of tensors in a file of %d", total, len(file))
	}
}
