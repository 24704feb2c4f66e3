package pairs

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// Store is a complete set of pairs in memory.
type Store struct {
	meta    Meta
	latents []float32
}

// Open reads the store in dir. An inversion that has not come to its end is
// [ErrIncomplete]; other errors are [ErrNoStore], [ErrMeta] and [ErrShard].
func Open(dir string) (*Store, error) {
	m, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{meta: m}
	for s.pairs() < m.Count {
		first := s.pairs()
		latents, err := readShard(dir, first, m)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w: %d of %d are there; invert the data set again, it goes on from there", dir, ErrIncomplete, first, m.Count)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the pairs; invert the data set again, it goes on before the damage: %w", err)
		}
		s.latents = append(s.latents, latents...)
	}
	return s, nil
}

func (s *Store) pairs() int { return len(s.latents) / s.meta.latentSize() }

// Len returns the number of pairs, N.
func (s *Store) Len() int { return s.meta.Count }

// Meta returns what the pairs are and how they were made.
func (s *Store) Meta() Meta { return s.meta }

// Latents returns all latents (N,C,h,w), whose standard deviation is about
// SigmaMax. They are the store's own: not to be changed.
func (s *Store) Latents() []float32 { return s.latents }

// Statistics are the moments of z/SigmaMax over all elements of all latents; a
// unit Gaussian has 0, 1 and 3.
type Statistics struct {
	Mean, Std, Kurtosis float64
}

// Statistics measures how Gaussian the latents are.
func (s *Store) Statistics() Statistics {
	n := float64(len(s.latents))
	mean := 0.0
	for _, z := range s.latents {
		mean += float64(z) / n
	}
	var second, fourth float64
	for _, z := range s.latents {
		square := (float64(z) - mean) * (float64(z) - mean)
		second += square / n
		fourth += square * square / n
	}
	return Statistics{
		Mean:     mean / s.meta.SigmaMax,
		Std:      math.Sqrt(second) / s.meta.SigmaMax,
		Kurtosis: fourth / (second * second),
	}
}
