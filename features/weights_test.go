package features

import (
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
)

func TestPretrainedWeightsAreChecked(t *testing.T) {
	s := newScope(t)
	for name, c := range map[string]struct {
		change func(shapes map[string][]int)
		want   string // part of the error; empty: none
	}{
		"complete":      {func(map[string][]int) {}, ""},
		"unused":        {func(m map[string][]int) { m["head.weight"], m["a.num_batches_tracked"] = []int{9, 3}, nil }, ""},
		"missing":       {func(m map[string][]int) { delete(m, "a.bias") }, "missing: a.bias"},
		"another shape": {func(m map[string][]int) { m["a.weight"] = []int{3, 2} }, "a.weight is [3 2], not [2 3]"},
		"unexpected":    {func(m map[string][]int) { m["b.weight"] = []int{1, 1} }, "1 unexpected tensors: b.weight"},
		"under a key": {func(m map[string][]int) {
			m["model.a.weight"], m["model.a.bias"] = m["a.weight"], m["a.bias"]
			delete(m, "a.weight")
			delete(m, "a.bias")
		}, ""},
	} {
		p := nn.NewBlankParams(s)
		nn.NewLinear(p.Root().At("a"), 3, 2)
		w := &golden.Weights{Net: "net", Gain: 1, K: 1, Shapes: golden.Shapes(p)}
		c.change(w.Shapes)
		err := load(p, w, "head.")
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		case err == nil && (len(p.Trainable()) != 0 || p.Tensor("a.weight").Float32s()[0] == 0):
			t.Errorf("%s: not loaded, or not frozen", name)
		}
	}
}
