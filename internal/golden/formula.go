package golden

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Uniform is the formula that stands for pretrained weights and images (golden
// README, "The formula"): elements 0 to n-1 of key, in (-1,1).
func Uniform(key string, k, n int) []float64 {
	hash := fnv.New32a()
	hash.Write([]byte(key))
	start := hash.Sum32() + uint32(k)*0x85EBCA77
	u := make([]float64, n)
	for i := range u {
		h := uint32(i)*0x9E3779B1 + start
		h ^= h >> 16
		h *= 0x85EBCA6B
		h ^= h >> 13
		h *= 0xC2B2AE35
		h ^= h >> 16
		u[i] = float64(2*int64(h>>8)+1-1<<24) / (1 << 24)
	}
	return u
}

// Weights are a network's weights by the formula. It has the methods of a file
// of weights: Names and Tensor.
type Weights struct {
	Net    string // first part of the keys
	Gain   float64
	K      int
	Shapes map[string][]int // of the tensors, by name

	// Exception, where set, turns u into the values of a tensor that the rules
	// do not cover, and tells whether it did.
	Exception func(name string, u []float64) bool
}

// Shapes reads a metadata entry that holds a JSON list of names and shapes.
func (f *File) Shapes(key string) map[string][]int {
	f.t.Helper()
	var list [][2]json.RawMessage
	if err := json.Unmarshal([]byte(f.Text(key)), &list); err != nil {
		f.t.Fatalf("metadata %s is no list of names and shapes: %v", key, err)
	}
	shapes := map[string][]int{}
	for _, pair := range list {
		var name string
		var shape []int
		if err := json.Unmarshal(pair[0], &name); err != nil {
			f.t.Fatalf("metadata %s: %v", key, err)
		}
		if err := json.Unmarshal(pair[1], &shape); err != nil {
			f.t.Fatalf("metadata %s, %s: %v", key, name, err)
		}
		shapes[name] = shape
	}
	return shapes
}

// Shapes are the names and shapes of a network's own tensors.
func Shapes(p *nn.Params) map[string][]int {
	shapes := map[string][]int{}
	for _, name := range p.Names() {
		shapes[name] = p.Shape(name)
	}
	return shapes
}

// Names are the names of the tensors, sorted.
func (w *Weights) Names() []string { return slices.Sorted(maps.Keys(w.Shapes)) }

// Tensor computes a tensor, float32.
func (w *Weights) Tensor(name string) (checkpoint.Tensor, error) {
	shape, ok := w.Shapes[name]
	if !ok {
		return checkpoint.Tensor{}, fmt.Errorf("%w: %q", checkpoint.ErrNoTensor, name)
	}
	fan, n := 1, 1
	for i, d := range shape {
		if n *= d; i > 0 {
			fan *= d
		}
	}
	u := Uniform(w.Net+"/"+name, w.K, n)
	if w.Exception == nil || !w.Exception(name, u) {
		value := w.rule(name, len(shape), fan)
		for i := range u {
			u[i] = value(u[i])
		}
	}
	values := make([]float32, n)
	for i := range u {
		values[i] = float32(u[i])
	}
	return checkpoint.FromFloat32s(values, shape...), nil
}

// rule is the README's table, from u to the value.
func (w *Weights) rule(name string, dims, fan int) func(u float64) float64 {
	last := name[strings.LastIndex(name, ".")+1:]
	switch {
	case slices.Contains([]string{"pos_embed", "cls_token", "dist_token", "positional_embedding", "class_embedding"}, last),
		strings.HasSuffix(name, "token_embedding.weight"):
		return func(u float64) float64 { return u / 2 }
	case dims >= 2:
		scale := w.Gain * math.Sqrt(3/float64(fan))
		return func(u float64) float64 { return scale * u }
	case last == "running_mean":
		return func(u float64) float64 { return u / 8 }
	case last == "running_var":
		return func(u float64) float64 { return 1 + math.Abs(u)/2 }
	case last == "num_batches_tracked":
		return func(float64) float64 { return 0 }
	case strings.HasSuffix(last, "bias"):
		return func(u float64) float64 { return u / 16 }
	case strings.HasSuffix(last, "weight"):
		return func(u float64) float64 { return 1 + u/8 }
	}
	panic("golden: the formula has no rule for " + name)
}

// Image is the README's "image formula name", with the file's formula_k.
func (f *File) Image(name string, n, c, h, w int) *torch.Tensor {
	f.t.Helper()
	return f.Scope.FromFloat32(image(name, f.Int("formula_k"), n, c, h, w), n, c, h, w)
}

func image(name string, k, n, c, h, w int) []float32 {
	lh, lw := (h+15)/16, (w+15)/16
	low := Uniform("input/"+name+"/low", k, n*c*lh*lw)
	high := Uniform("input/"+name+"/high", k, n*c*h*w)
	values := make([]float32, n*c*h*w)
	for i := range values {
		plane, y, x := i/(h*w), i/w%h, i%w
		values[i] = float32(0.75*low[(plane*lh+y/16)*lw+x/16] + 0.25*high[i])
	}
	return values
}
