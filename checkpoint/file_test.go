package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// content puts a file together from its parts.
func content(header string, data int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), make([]byte, data)...)
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	tensors := map[string]Tensor{
		"mask":       {Bool, []int{3}, []byte{0, 1, 1}},
		"out.weight": FromFloat32s([]float32{1, -2, 3.5, 4, 5, 6}, 2, 3),
		"step":       {I64, nil, binary.LittleEndian.AppendUint64(nil, 7)},
		"empty":      {F16, []int{0, 4}, nil},
		"<ünï>\"\n":  {U8, []int{1}, []byte{9}},
	}
	metadata := map[string]string{"stage": "teacher", "note": `"sha256":"` + noChecksum + `"`}
	if err := Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	first, _ := os.ReadFile(path)
	if err := Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(path); !bytes.Equal(first, second) {
		t.Error("the same tensors gave other bytes")
	}
	if _, ok := metadata[checksumKey]; ok {
		t.Error("the caller's metadata was changed")
	}

	f, err := OpenVerified(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := slices.Sorted(maps.Keys(tensors)); !slices.Equal(f.Names(), want) {
		t.Errorf("names %q, want %q", f.Names(), want)
	}
	if f.Metadata()["stage"] != "teacher" || f.Metadata()["note"] != metadata["note"] {
		t.Errorf("metadata %q", f.Metadata())
	}
	if len(f.header)%8 != 0 {
		t.Errorf("the header has %d bytes, not a multiple of 8", len(f.header))
	}
	for name, want := range tensors {
		got, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%q: %+v, want %+v", name, got, want)
		}
		if f.entries[name].begin%want.DType.Size() != 0 {
			t.Errorf("%q begins at byte %d, which does not align %s", name, f.entries[name].begin, want.DType)
		}
	}
	if _, err := f.Tensor("out.bias"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("missing tensor: %v", err)
	}
}

func TestAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := Write(path, map[string]Tensor{"x": FromFloat32s([]float32{1}, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("x"); !errors.Is(err, ErrNoTensor) {
		t.Errorf("tensor of a closed file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// attacks are files that must be refused, each with the reason.
var attacks = []struct {
	name string
	file []byte
	want error
}{
	{"empty", nil, ErrTooShort},
	{"length cut", []byte{1, 2, 3}, ErrTooShort},
	{"header cut", content(`{"a":`, 0)[:10], ErrTooShort},
	{"absurd length", bytes.Repeat([]byte{0xff}, 64), ErrHeaderTooLarge},
	{"100 MB claimed", binary.LittleEndian.AppendUint64(nil, maxHeader), ErrTooShort},
	{"more than 100 MB claimed", binary.LittleEndian.AppendUint64(nil, maxHeader+1), ErrHeaderTooLarge},
	{"no header", content(``, 0), ErrHeader},
	{"array", content(`[]`, 0), ErrHeader},
	{"leading space", content(` {}`, 0), ErrHeader},
	{"unclosed", content(`{"a":{"dtype":"U8"`, 0), ErrHeader},
	{"text behind", content(`{} {}`, 0), ErrHeader},
	{"not UTF-8", content("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0), ErrHeader},
	{"pickle", append([]byte{0x80, 2, 0, 0, 0, 0, 0, 0}, make([]byte, 1000)...), ErrHeader},
	{"null tensor", content(`{"a":null}`, 0), ErrHeader},
	{"null shape", content(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, 1), ErrHeader},
	{"null side", content(`{"a":{"dtype":"U8","shape":[null],"data_offsets":[0,0]}}`, 0), ErrHeader},
	{"fractional side", content(`{"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}}`, 1), ErrHeader},
	{"huge side", content(`{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}}`, 1), ErrHeader},
	{"no dtype", content(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), ErrHeader},
	{"wrong case", content(`{"a":{"DTYPE":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrHeader},
	{"extra key", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1), ErrHeader},
	{"one offset", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1), ErrHeader},
	{"metadata number", content(`{"__metadata__":{"a":1}}`, 0), ErrHeader},
	{"deep nesting", content(`{"a":`+strings.Repeat("[", 1_000_000), 0), ErrHeader},
	{"tensor twice", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrDuplicate},
	{"dtype twice", content(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrDuplicate},
	{"metadata twice", content(`{"__metadata__":{"a":"1","\u0061":"2"}}`, 0), ErrDuplicate},
	{"unknown dtype", content(`{"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}`, 16), ErrDType},
	{"negative side", content(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), ErrShape},
	{"shape overflows", content(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), ErrShape},
	{"shape wraps round", content(`{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, 0), ErrShape},
	{"negative offset", content(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[-1,1]}}`, 1), ErrOffsets},
	{"offsets swapped", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), ErrOffsets},
	{"offset past the end", content(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1), ErrOffsets},
	{"data cut", content(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7), ErrOffsets},
	{"size differs", content(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}`, 8), ErrSize},
	{"gap", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), ErrLayout},
	{"gap in front", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), ErrLayout},
	{"overlap", content(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), ErrLayout},
	{"same bytes twice", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), ErrLayout},
	{"trailing bytes", content(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2), ErrTrailing},
	{"data without tensors", content(`{}`, 1), ErrTrailing},
}

func TestAttacks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attack.safetensors")
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			if _, err := Parse(attack.file); !errors.Is(err, attack.want) {
				t.Errorf("Parse: %v, want %v", err, attack.want)
			}
			if err := os.WriteFile(path, attack.file, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !errors.Is(err, attack.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v, want %v and the path", err, attack.want)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	for _, file := range [][]byte{
		content(`{}`, 0),
		content("{}  \n ", 0),
		content(`{"__metadata__":{}}`, 0),
		content(`{"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"a":{"data_offsets":[1,1],"shape":[3,0],"dtype":"F8_E4M3"}}`, 1),
	} {
		f, err := Parse(file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if err := f.Verify(); !errors.Is(err, ErrNoChecksum) {
			t.Errorf("%s: Verify: %v, want %v", file, err, ErrNoChecksum)
		}
	}
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want %v", err, os.ErrNotExist)
	}
}

// What is no file is refused, and not waited for.
func TestOpenOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: " is a folder; name a .safetensors file in it", pipe: "pipe is no regular file"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Whatever single bit of a file flips, opening and verifying must notice.
func TestEveryBitCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	tensors := map[string]Tensor{"w": FromFloat32s([]float32{1, 2, 3}, 3), "b": {U8, []int{1}, []byte{4}}}
	if err := Write(path, tensors, map[string]string{"rng": "17 42"}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			if f, err := Parse(file); err == nil && f.Verify() == nil {
				t.Errorf("bit %d of byte %d flipped unnoticed", bit, i)
			}
			file[i] ^= 1 << bit
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, attack := range attacks {
		if len(attack.file) < 10_000 {
			f.Add(attack.file)
		}
	}
	f.Add(content(`{"__metadata__":{"a":"b"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}`, 8))
	f.Fuzz(func(t *testing.T, file []byte) {
		parsed, err := Parse(file)
		if err != nil {
			return
		}
		total := 0
		for _, name := range parsed.Names() {
			tensor, err := parsed.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			if size, err := byteSize(tensor.DType, tensor.Shape); err != nil || size != len(tensor.Data) {
				t.Fatalf("%q: %d bytes for %s%v", name, len(tensor.Data), tensor.DType, tensor.Shape)
			}
			total += len(tensor.Data)
		}
		if total != len(parsed.data) {
			t.Fatalf("the tensors have %d bytes, the file %d", total, len(parsed.data))
		}
	})
}

// A file of PyTorch is named as such, with what to do.
func TestForeignFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for content, want := range map[string]string{
		"PK\x03\x04 and so on":               "a zip archive",
		"\x80\x02}q\x00 and so on":           "a Python pickle",
		`{"weight_map": {"a": "b"}}        `: "JSON",
	} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pagoda import") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
