package features

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/nn"
)

// Weights are the tensors of a file of pretrained weights: a [checkpoint.File],
// or one that package checkpoint/pytorch reads.
type Weights interface {
	checkpoint.Source
	Names() []string
}

// FromFile hands over the published weights in a file of PyTorch's.
func FromFile(path string, use func(w Weights) error) error {
	w, err := pytorch.Open(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := use(w); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// load gives a network its published weights and freezes it. The file must have
// every tensor of the network in its shape and nothing else, but for names that
// start with an unused prefix and BatchNorm's counters. They may lie under a
// common key, such as "model".
func load(p *nn.Params, w Weights, unused ...string) error {
	key := keyOf(p.Names()[0], w.Names())
	if err := p.Load(w, key); err != nil {
		return err
	}
	var unexpected []string
	for _, name := range w.Names() {
		name, ok := strings.CutPrefix(name, key)
		isUnused := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if ok && p.Shape(name) == nil && !slices.ContainsFunc(unused, isUnused) && !strings.HasSuffix(name, ".num_batches_tracked") {
			unexpected = append(unexpected, name)
		}
	}
	if n := len(unexpected); n > 0 {
		return fmt.Errorf("the weights are not of this network: %d unexpected tensors: %s", n, strings.Join(unexpected[:min(n, 5)], ", "))
	}
	p.Freeze()
	return nil
}

// keyOf is what stands in front of a name among names, with its dot.
func keyOf(name string, names []string) string {
	key := ""
	for _, n := range names {
		if n == name {
			return ""
		}
		if before, ok := strings.CutSuffix(n, "."+name); ok {
			key = before + "."
		}
	}
	return key
}
