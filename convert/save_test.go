package convert

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
)

// randomWeights are tensors of the given shapes.
func randomWeights(params *nn.Params) map[string]checkpoint.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	tensors := map[string]checkpoint.Tensor{}
	for _, name := range params.Names() {
		values := make([]float32, nn.Product(params.Shape(name)))
		for i := range values {
			values[i] = float32(r.NormFloat64())
		}
		tensors[name] = checkpoint.FromFloat32s(values, params.Shape(name)...)
	}
	return tensors
}

// tinyDecoder is the grown network of the preset tiny, with weights.
func tinyDecoder(t *testing.T, preset string) map[string]checkpoint.Tensor {
	list, err := candidates(Options{Preset: preset, Stage: network.Generator}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return randomWeights(list[0].params)
}

// recognise opens a file and says what it holds.
func recognise(t *testing.T, path string, o Options) *Network {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	n, err := f.Recognise(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameTensors compares all tensors of a file with those expected, to the bit.
func sameTensors(t *testing.T, path string, want map[string]checkpoint.Tensor) {
	t.Helper()
	f, err := pytorch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Names()) != len(want) {
		t.Errorf("%d tensors, not %d", len(f.Names()), len(want))
	}
	for name, tensor := range want {
		if got, err := f.Tensor(name); err != nil || !reflect.DeepEqual(got, tensor) {
			t.Errorf("%s: %s%v, want %s%v, or of other content: %v", name, got.DType, got.Shape, tensor.DType, tensor.Shape, err)
		}
	}
}

// What is imported, exported and imported again is the same to the bit, through
// either format; the file says what it is and where it comes from.
func TestRoundTrip(t *testing.T) {
	dir, preset := t.TempDir(), tinyPreset(t)
	weights := tinyDecoder(t, preset)
	wrapped := map[string]checkpoint.Tensor{"epoch": checkpoint.FromFloat32s([]float32{3})}
	for name, tensor := range weights {
		if strings.HasSuffix(name, ".qkv.weight") || strings.HasSuffix(name, ".proj_out.weight") {
			tensor.Shape = tensor.Shape[:3] // as guided-diffusion has it
		}
		wrapped["state_dict.module."+name] = tensor
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := pytorch.Write(path("source.pt"), wrapped); err != nil {
		t.Fatal(err)
	}

	first := recognise(t, path("source.pt"), Options{Preset: preset})
	if err := first.Save(path("first.safetensors"), false); err != nil {
		t.Fatal(err)
	}
	sameTensors(t, path("first.safetensors"), weights)
	own := recognise(t, path("first.safetensors"), Options{})
	d := own.Description
	p := d.Provenance
	if d.Preset != "tiny" || d.Stage != network.Generator || d.Architecture.OutputSize() != 16 || d.Architecture.Classes() != 3 ||
		p == nil || p.Prefix != "state_dict.module." || p.EMA || p.File != "source.pt" || p.Format != string(pytorch.Zip) || len(p.SHA256) != hex.EncodedLen(32) {
		t.Errorf("%+v, %+v", d, p)
	}

	for _, target := range []Target{PT, Safetensors} {
		exported, again := path("exported."+string(target)), path("again."+string(target)+".safetensors")
		if err := own.Export(exported, target); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, exported, weights)
		if err := recognise(t, exported, Options{Preset: preset}).Save(again, false); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, again, weights)
	}
	if err := own.Save(path("copy.safetensors"), false); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, path("first.safetensors")), content(t, path("copy.safetensors"))) {
		t.Error("a file of this program changes when it is imported")
	}
	if err := own.Export(path("x"), "onnx"); err == nil || !strings.Contains(err.Error(), `"onnx"`) {
		t.Error(err)
	}
}

// Weights of any precision become float32, or float16 on request, which stays.
func TestPrecisions(t *testing.T) {
	preset := tinyPreset(t)
	weights, mixed, full, half := tinyDecoder(t, preset), map[string]checkpoint.Tensor{}, map[string]checkpoint.Tensor{}, map[string]checkpoint.Tensor{}
	for name, tensor := range weights {
		half[name] = checkpoint.HalfFrom(tensor)
		switch {
		case strings.HasSuffix(name, ".bias"): // float16
			mixed[name], full[name] = half[name], half[name]
		case strings.HasPrefix(name, "input"): // bfloat16, the upper halves of float32
			bytes, zeroed := []byte{}, bytes.Clone(tensor.Data)
			for i := 0; i < len(zeroed); i += 4 {
				bytes = append(bytes, zeroed[i+2], zeroed[i+3])
				zeroed[i], zeroed[i+1] = 0, 0
			}
			mixed[name] = checkpoint.Tensor{DType: checkpoint.BF16, Shape: tensor.Shape, Data: bytes}
			full[name] = checkpoint.Tensor{DType: checkpoint.F32, Shape: tensor.Shape, Data: zeroed}
			half[name] = checkpoint.HalfFrom(full[name])
		default:
			mixed[name], full[name] = tensor, tensor
		}
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "mixed.safetensors")
	if err := checkpoint.Write(source, mixed, nil); err != nil {
		t.Fatal(err)
	}
	n := recognise(t, source, Options{Preset: preset})
	for _, asHalf := range []bool{false, true} {
		target, want := filepath.Join(dir, "out.safetensors"), full
		if asHalf {
			want = half
		}
		if err := n.Save(target, asHalf); err != nil {
			t.Fatal(err)
		}
		sameTensors(t, target, want)
	}
}

// A file of this program that was damaged, or whose tensors are not what its
// description says, is refused.
func TestDamagedFile(t *testing.T) {
	dir, preset := t.TempDir(), tinyPreset(t)
	source, target := filepath.Join(dir, "source.pt"), filepath.Join(dir, "own.safetensors")
	weights := tinyDecoder(t, preset)
	if err := pytorch.Write(source, weights); err != nil {
		t.Fatal(err)
	}
	n := recognise(t, source, Options{Preset: preset})
	if err := n.Save(target, false); err != nil {
		t.Fatal(err)
	}
	damaged := content(t, target)
	damaged[len(damaged)-5]++
	if err := os.WriteFile(target, damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(target); !errors.Is(err, checkpoint.ErrChecksum) || !strings.Contains(err.Error(), target) {
		t.Error(err)
	}

	metadata, err := n.Description.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	delete(weights, "out.2.bias")
	if err := checkpoint.Write(target, weights, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Recognise(Options{}); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "says that it is a 16×16 PaGoDA decoder of preset tiny") ||
		!strings.Contains(err.Error(), "missing: out.2.bias") {
		t.Error(err)
	}
}

// Where weights come from covers all shards of them, and whether their names say
// that they are averaged.
func TestProvenance(t *testing.T) {
	dir, preset := t.TempDir(), tinyPreset(t)
	weights := map[string]checkpoint.Tensor{}
	for name, tensor := range tinyDecoder(t, preset) {
		weights["ema_0.999."+name] = tensor
	}
	shard, index, target := filepath.Join(dir, "model-1.safetensors"), filepath.Join(dir, "model.safetensors.index.json"), filepath.Join(dir, "own.safetensors")
	places := map[string]map[string]string{"weight_map": {}}
	for name := range weights {
		places["weight_map"][name] = filepath.Base(shard)
	}
	text, err := json.Marshal(places)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, text, 0o666); err != nil {
		t.Fatal(err)
	}
	imported := func() network.Provenance {
		if err := checkpoint.Write(shard, weights, nil); err != nil {
			t.Fatal(err)
		}
		if err := recognise(t, index, Options{Preset: preset}).Save(target, false); err != nil {
			t.Fatal(err)
		}
		return *recognise(t, target, Options{}).Description.Provenance
	}
	before := imported()
	if before.Prefix != "ema_0.999." || !before.EMA || before.Format != string(pytorch.Sharded) {
		t.Errorf("%+v", before)
	}
	weights["ema_0.999.out.2.bias"] = checkpoint.FromFloat32s([]float32{1, 2, 3}, 3)
	if after := imported(); after.SHA256 == before.SHA256 {
		t.Error("another shard has the same digest")
	}
	if !averaged("decoder_ema_0") || averaged("schema.") {
		t.Error("averaged weights are not known by their names")
	}
}
