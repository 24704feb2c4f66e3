package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/stage"
)

// samplerSource are the images that a run's network is scored by: as many of
// every class, one class after the other.
type samplerSource struct {
	*stage.Sampler
	info SourceInfo
}

func newSamplerSource(s *stage.Sampler, classes []string) *samplerSource {
	size := s.Architecture.OutputSize()
	return &samplerSource{s, SourceInfo{
		Name: s.File, N: scoredPerClass * len(classes), C: s.Architecture.Channels(), H: size, W: size, Classes: classes, Digest: s.SHA256,
		Model: &ModelInfo{
			SHA256: s.SHA256, Kind: averaged, Preset: s.Preset, ImagesSeen: s.ImagesSeen, Precision: s.Precision.String(),
			Order: fmt.Sprintf("one after the other, %d of each", scoredPerClass),
		},
	}}
}

func (s *samplerSource) Info() SourceInfo { return s.info }

func (s *samplerSource) Read(ctx context.Context, first, n int) ([]uint8, []int, error) {
	if err := s.info.check(first, n); err != nil {
		return nil, nil, err
	}
	labels, classes := make([]int, n), make([]int64, n)
	for i := range n {
		labels[i] = (first + i) / scoredPerClass
		classes[i] = int64(labels[i])
	}
	pixels, err := s.Pixels(ctx, first, classes)
	return pixels, labels, err
}

func (s *samplerSource) Close() error { return nil }
