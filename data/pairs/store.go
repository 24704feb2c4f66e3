package pairs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Store is a complete set of pairs, mapped into memory: a latent is read from
// the disk when it is asked for, and memory holds as many as there is room for.
type Store struct {
	meta   Meta
	shards []*shard // in the order of their pairs
}

// Open opens the store in dir, once every byte of it has been verified. An
// inversion that has not come to its end is [ErrIncomplete]; other errors are
// [ErrNoStore], [ErrMeta] and [ErrShard].
func Open(dir string) (*Store, error) {
	m, err := readMeta(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{meta: m}
	if err = s.open(dir); err == nil {
		err = s.verify()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(dir string) error {
	for first := 0; first < s.meta.Count; first = s.shards[len(s.shards)-1].end(s.meta) {
		next, err := openShard(dir, first, s.meta)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%s: %w: %d of %d are there; invert the data set again, it goes on from there", dir, ErrIncomplete, first, s.meta.Count)
		case err != nil:
			return unreadable(err)
		}
		s.shards = append(s.shards, next)
	}
	return nil
}

// verify reads all shards through, as many at once as there are processors.
func (s *Store) verify() error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, part := range s.shards {
		g.Go(part.verify)
	}
	if err := g.Wait(); err != nil {
		return unreadable(err)
	}
	return nil
}

func unreadable(err error) error {
	return fmt.Errorf("cannot read the pairs; invert the data set again, it goes on before the damage: %w", err)
}

// Close gives the memory back.
func (s *Store) Close() error {
	var errs []error
	for _, part := range s.shards {
		errs = append(errs, part.file.Close())
	}
	s.shards = nil
	return errors.Join(errs...)
}

// Len returns the number of pairs, N.
func (s *Store) Len() int { return s.meta.Count }

// Meta returns what the pairs are and how they were made.
func (s *Store) Meta() Meta { return s.meta }

// Latents returns copies of the latents (len(chosen),C,h,w) of the chosen pairs,
// whose standard deviation is about SigmaMax.
func (s *Store) Latents(chosen []int) []float32 {
	size := s.meta.latentSize() * floatSize
	for _, pair := range chosen {
		part := s.shard(pair)
		part.file.Prefetch(tensorName, (pair-part.first)*size, size)
	}
	latents := make([]float32, 0, len(chosen)*s.meta.latentSize())
	for _, pair := range chosen {
		part := s.shard(pair)
		latents = appendFloats(latents, part.latents[(pair-part.first)*size:][:size])
	}
	return latents
}

// shard finds the file that holds a pair.
func (s *Store) shard(pair int) *shard {
	k, found := slices.BinarySearchFunc(s.shards, pair, func(part *shard, pair int) int { return part.first - pair })
	if !found {
		k--
	}
	return s.shards[k]
}

const floatSize = 4

// appendFloats decodes little-endian float32 numbers.
func appendFloats(to []float32, from []byte) []float32 {
	for ; len(from) > 0; from = from[floatSize:] {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(from)))
	}
	return to
}

// Statistics are the moments of z/SigmaMax over all elements of all latents; a
// unit Gaussian has 0, 1 and 3.
type Statistics struct {
	Mean, Std, Kurtosis float64
}

// Statistics measures how Gaussian the latents are.
func (s *Store) Statistics() Statistics {
	var sum [5]float64 // of the elements' powers
	block := make([]float32, 0, 1<<14)
	for _, part := range s.shards {
		for bytes := range slices.Chunk(part.latents, cap(block)*floatSize) {
			for _, z := range appendFloats(block, bytes) {
				x := float64(z) / s.meta.SigmaMax
				for power, y := 0, 1.0; power < len(sum); power, y = power+1, y*x {
					sum[power] += y
				}
			}
		}
	}
	first, second, third, fourth := sum[1]/sum[0], sum[2]/sum[0], sum[3]/sum[0], sum[4]/sum[0]
	variance := second - first*first
	return Statistics{
		Mean:     first,
		Std:      math.Sqrt(variance),
		Kurtosis: (fourth - 4*first*third + 6*first*first*second - 3*first*first*first*first) / (variance * variance),
	}
}
