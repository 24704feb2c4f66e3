package eval

import (
	"context"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// averaged are the weights that training leaves, and nothing else.
const averaged = "EMA"

// modelSource makes its images when they are read, and keeps none.
type modelSource struct {
	model *pagoda.Model
	seed  uint64
	info  SourceInfo
}

func openModel(path string, g Generation) (*modelSource, error) {
	file, err := openWeights(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum, kind := file.Metadata()["sha256"], averaged
	if d, err := network.Describe(file); err == nil && d.Provenance != nil {
		kind = "imported (" + d.Provenance.File + ")"
	}
	name, open := path, func() (*pagoda.Model, error) { return g.Options.Open(path) }
	if path == "" {
		name, open = "the embedded model", g.Default
	}
	model, err := open()
	if err != nil {
		return nil, err
	}
	order, precision := "", g.Precision
	if precision == "" {
		precision = defaultPrecision(g.Device)
	}
	m := model.Info()
	if len(m.Classes) > 0 {
		order = "in turn"
	}
	return &modelSource{model, g.Seed, SourceInfo{
		Name: name, C: m.Channels, H: m.Resolution, W: m.Resolution, Classes: m.Classes, Digest: sum,
		Model: &ModelInfo{SHA256: sum, Kind: kind, Preset: m.Preset, ImagesSeen: m.ImagesSeen, Precision: precision, Order: order, File: path},
	}}, nil
}

// defaultPrecision is what a model takes on a device that could be opened.
func defaultPrecision(name string) string {
	device := torch.CPU
	if name != "" {
		device, _ = torch.ParseDevice(name)
	}
	return torch.Fastest(device).String()
}

func openWeights(path string) (*checkpoint.File, error) {
	if path == "" {
		return checkpoint.Parse(models.FashionMNIST)
	}
	return checkpoint.Open(path)
}

// withSeed is the same model with other images.
func (m *modelSource) withSeed(seed uint64) *modelSource {
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
