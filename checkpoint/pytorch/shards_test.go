package pytorch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// writeShards makes two shards and an index that says where a and b are.
func writeShards(t *testing.T, a, b string) (index string) {
	t.Helper()
	folder := t.TempDir()
	for i, name := range []string{"a", "b"} {
		path := filepath.Join(folder, fmt.Sprintf("model-%05d-of-00002.safetensors", i+1))
		tensor := checkpoint.FromFloat32s([]float32{float32(i), 5}, 2)
		if err := checkpoint.Write(path, map[string]checkpoint.Tensor{name: tensor}, nil); err != nil {
			t.Fatal(err)
		}
	}
	index = filepath.Join(folder, "model.safetensors.index.json")
	content := fmt.Sprintf("{\n  \"metadata\": {\"total_size\": 16},\n  \"weight_map\": {%q: %q, %q: %q}}", "a", a, "b", b)
	if err := os.WriteFile(index, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return index
}

const shard1, shard2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"

func TestShards(t *testing.T) {
	f, err := Open(writeShards(t, shard1, shard2))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Format() != Sharded || !slices.Equal(f.Names(), []string{"a", "b"}) {
		t.Errorf("%q with %q", f.Format(), f.Names())
	}
	compare(t, f, map[string]expected{"a": {[]int{2}, []float32{0, 5}}, "b": {[]int{2}, []float32{1, 5}}})
}

func TestShardsRefused(t *testing.T) {
	removed := writeShards(t, shard1, shard2)
	if err := os.Remove(filepath.Join(filepath.Dir(removed), shard2)); err != nil {
		t.Fatal(err)
	}
	damaged := writeShards(t, shard1, shard2)
	if err := os.Truncate(filepath.Join(filepath.Dir(damaged), shard1), 20); err != nil {
		t.Fatal(err)
	}
	for index, want := range map[string]string{
		removed:                               "the shard " + shard2 + " is missing",
		damaged:                               shard1,
		writeShards(t, shard2, shard2):        `"a" is not in the shard ` + shard2,
		writeShards(t, shard1, "../"+shard2):  `"../` + shard2 + `" is not the name of a file beside it`,
		writeShards(t, shard1, "/etc/passwd"): "is not the name of a file beside it",
		writeShards(t, shard1, ".."):          "is not the name of a file beside it",
		writeShards(t, "", shard2):            "is not the name of a file beside it",
		writeShards(t, "model.safetensors.index.json", shard2): "is JSON",
	} {
		_, err := Open(index)
		if !errors.Is(err, ErrShard) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), index) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
