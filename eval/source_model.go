package eval

import (
	"context"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/network"
)

// averaged are the weights that training leaves, and nothing else.
const averaged = "EMA"

// seeded are sources that make other images of another seed.
type seeded interface{ withSeed(seed uint64) Source }

// modelSource makes its images when they are read, and keeps none.
type modelSource struct {
	model *pagoda.Model
	seed  uint64
	info  SourceInfo
}

func openModel(path string, weights *ModelInfo, g Generation) (*modelSource, error) {
	name, open := path, func() (*pagoda.Model, error) { return g.Options.Open(path) }
	if path == "" {
		name, open = "the embedded model", g.Default
	}
	model, err := open()
	if err != nil {
		return nil, err
	}
	weights.Precision = model.Precision().String()
	m := model.Info()
	weights.inTurn(m.Classes)
	return &modelSource{model, g.Seed, SourceInfo{
		Name: name, C: m.Channels, H: m.Resolution, W: m.Resolution, Classes: m.Classes, Digest: weights.SHA256, Model: weights,
	}}, nil
}

// describeModel is what the file of a network says about itself.
func describeModel(path string) (*ModelInfo, error) {
	file, err := openWeights(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	m := &ModelInfo{SHA256: file.SHA256(), Kind: averaged, File: path}
	d, err := network.Describe(file)
	if err != nil {
		return m, nil // opening it says better what it holds
	}
	m.Stage, m.Preset, m.ImagesSeen = d.Stage, d.Preset, d.ImagesSeen
	switch p := d.Provenance; {
	case p != nil && p.EMA:
		m.Kind = averaged + ", imported (" + p.File + ")"
	case p != nil:
		m.Kind = "imported (" + p.File + ", which does not say whether they are averaged)"
	}
	return m, nil
}

// inTurn says that images are of all classes in turn, where there are any.
func (m *ModelInfo) inTurn(classes []string) {
	if len(classes) > 0 {
		m.Order = "in turn"
	}
}

func openWeights(path string) (*checkpoint.File, error) {
	if path == "" {
		return checkpoint.Parse(models.FashionMNIST)
	}
	return checkpoint.Open(path)
}

// withSeed is the same model with other images.
func (m *modelSource) withSeed(seed uint64) Source {
	other := *m
	other.seed = seed
	return &other
}

func (m *modelSource) Info() SourceInfo { return m.info }

func (m *modelSource) Read(ctx context.Context, first, n int) ([]uint8, []int, error) {
	pixels, classes, err := m.model.Pixels(ctx, pagoda.Request{First: first, N: n, Seed: m.seed})
	if err != nil || len(m.info.Classes) == 0 {
		return pixels, nil, err
	}
	labels := make([]int, n)
	for i, c := range classes {
		labels[i] = int(c)
	}
	return pixels, labels, nil
}

func (m *modelSource) Close() error { return m.model.Close() }
