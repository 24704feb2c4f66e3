package stage

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
)

// A class embedding may be in any form in which weights come, under the names of
// the published one, of a bare table or of a layer's.
func TestLoadEmbedding(t *testing.T) {
	write := map[string]func(path string, tensors map[string]checkpoint.Tensor) error{
		"a.safetensors": func(path string, tensors map[string]checkpoint.Tensor) error {
			return checkpoint.Write(path, tensors, nil)
		},
		"a.pkl": func(path string, tensors map[string]checkpoint.Tensor) error { return pytorch.Write(path, tensors) },
	}
	values := []float32{1, 2, 3, 4, 5, 6}
	for file, write := range write {
		for _, c := range []struct {
			name  string
			shape []int
			want  string // in the error; empty: none
		}{
			{"embed.weight", []int{2, 3}, ""},
			{"embed", []int{2, 3}, ""},
			{"weight", []int{2, 3}, ""},
			{"embed", []int{3, 2}, "embed has the shape [3 2]; it must have 2 rows, one a class"},
			{"embed", []int{6}, "embed has the shape [6]"},
			{"embedding", []int{2, 3}, `it has no tensor embed.weight, embed or weight but ["embedding"]`},
		} {
			path := filepath.Join(t.TempDir(), file)
			if err := write(path, map[string]checkpoint.Tensor{c.name: checkpoint.FromFloat32s(values, c.shape...)}); err != nil {
				t.Fatal(err)
			}
			f, embedding, err := loadEmbedding(path, 2)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s with %s %v: %v", file, c.name, c.shape, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := checkpoint.Float32s(embedding); err != nil || !slices.Equal(got, values) || !slices.Equal(embedding.Shape, c.shape) {
				t.Errorf("%s with %s: %v %v, %v", file, c.name, got, embedding.Shape, err)
			}
			f.Close()
		}
	}
	if _, _, err := loadEmbedding("none.pkl", 2); err == nil || !strings.Contains(err.Error(), "none.pkl") {
		t.Error(err)
	}
}
