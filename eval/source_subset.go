package eval

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
)

// subsetSource are some images of another source, drawn at random: the first
// ones of a folder that is sorted by class would be those of a few classes.
type subsetSource struct {
	Source
	chosen []int // ascending, so that a file is read from front to back
	note   string
}

// subset draws n images of a source, the same ones for the same seed; all of
// them, and any number of a model's, are the source itself.
func subset(source Source, n int, seed uint64) (Source, error) {
	info := source.Info()
	if err := info.check(0, n); err != nil {
		return nil, err
	}
	if n == info.N || info.N == 0 {
		return source, nil
	}
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(info.N)[:n]
	slices.Sort(chosen)
	return &subsetSource{source, chosen, fmt.Sprintf("drawn at random from %d, seed %d", info.N, seed)}, nil
}

func (s *subsetSource) Info() SourceInfo {
	info := s.Source.Info()
	info.N, info.Subset = len(s.chosen), s.note
	info.Digest += ", " + fmt.Sprint(info.N) + " " + s.note
	return info
}

// Read reads neighbours in the source together.
func (s *subsetSource) Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	if err := s.Info().check(first, n); err != nil {
		return nil, nil, err
	}
	for chosen := s.chosen[first : first+n]; len(chosen) > 0; {
		run := 1
		for run < len(chosen) && chosen[run] == chosen[0]+run {
			run++
		}
		p, l, err := s.Source.Read(ctx, chosen[0], run)
		if err != nil {
			return nil, nil, err
		}
		pixels, labels, chosen = append(pixels, p...), append(labels, l...), chosen[run:]
	}
	return pixels, labels, nil
}
