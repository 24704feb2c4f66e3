package metrics

import (
	"fmt"
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/torch"
)

// Neighbours are the nearest vectors of a set to one vector, nearest first.
type Neighbours struct {
	Indices   []int     // rows of the set
	Distances []float64 // Euclidean
}

// Nearest finds, for every vector of f, the k nearest of the set among, exactly.
// To see whether a generator repeats its training images, f is what it makes
// and among those. The set needs k vectors.
func Nearest(f, among Features, k int, step Step) (nearest []Neighbours, err error) {
	defer torch.Recover(&err)
	if err := checkPair(among, f, 1); err != nil {
		return nil, err
	}
	if k < 1 || k > among.N {
		return nil, fmt.Errorf("metrics: %d nearest neighbours among %d vectors", k, among.N)
	}
	squares := make([][]float64, f.N)
	nearest = make([]Neighbours, f.N)
	for i := range nearest {
		squares[i] = unknown(k)
		nearest[i] = Neighbours{make([]int, k), make([]float64, k)}
	}
	p := newPairs(f, among)
	w := &work{step: step, total: f.N}
	if err := p.each(w, func(i, first int, low []float32) {
		mine := squares[i]
		for c, l := range low {
			if float64(l) > mine[k-1] {
				continue
			}
			at := insert(mine, p.against(math.Inf(-1), i, first+c, l))
			if at < k {
				indices := nearest[i].Indices
				copy(indices[at+1:], indices[at:])
				indices[at] = first + c
			}
		}
	}); err != nil {
		return nil, err
	}
	for i, list := range squares {
		for j, square := range list {
			nearest[i].Distances[j] = math.Sqrt(square)
		}
	}
	return nearest, w.next(0)
}

// nearestOthers are the squared distances of every vector to its k nearest other ones, ascending.
func nearestOthers(f Features, k int, w *work) ([][]float64, error) {
	p := newPairs(f, f)
	p.same = true
	lists := make([]shortlist, f.N)
	for i := range lists {
		lists[i].highs = unknown(k)
	}
	if err := p.each(w, func(i, first int, low []float32) {
		mine := &lists[i]
		for j := max(first, i+1); j < first+len(low); j++ {
			l, theirs := low[j-first], &lists[j]
			if mine.excludes(l) && theirs.excludes(l) {
				continue
			}
			high := p.high(i, j, l)
			mine.add(f, i, j, l, high)
			theirs.add(f, j, i, l, high)
		}
	}); err != nil {
		return nil, err
	}
	nearest := make([][]float64, f.N)
	inParallel(f.N, func(i int) {
		lists[i].settle(f, i)
		nearest[i] = lists[i].highs
	})
	return nearest, nil
}

// shortlist has the vectors that may be among the k nearest of one vector, by
// bounds of their squared distances: many are collected before any distance is
// computed, so that few are.
type shortlist struct {
	highs      []float64 // the k smallest upper bounds, ascending
	candidates []candidate
}

// mostCandidates bounds a list's memory where bounds exclude nobody, as among equal vectors.
const mostCandidates = 256

type candidate struct {
	index int
	low   float32
}

// excludes tells that k others are nearer than this lower bound.
func (s *shortlist) excludes(low float32) bool { return float64(low) > s.highs[len(s.highs)-1] }

// add offers vector `index` of f to the list of vector i.
func (s *shortlist) add(f Features, i, index int, low float32, high float64) {
	if s.excludes(low) {
		return
	}
	insert(s.highs, high)
	if s.candidates = append(s.candidates, candidate{index, low}); len(s.candidates) > mostCandidates {
		s.settle(f, i)
	}
}

// settle computes the candidates' distances to vector i: the k nearest stay, and
// their distances become the upper bounds.
func (s *shortlist) settle(f Features, i int) {
	k := len(s.highs)
	nearest, kept := unknown(k), make([]candidate, k)
	found := 0
	for _, c := range s.candidates {
		if s.excludes(c.low) {
			continue
		}
		if at := insert(nearest, squaredDistance(f.Row(i), f.Row(c.index))); at < k {
			copy(kept[at+1:], kept[at:])
			kept[at] = candidate{c.index, float32(math.Inf(-1))} // stays until others are nearer
			found++
		}
	}
	s.highs, s.candidates = nearest, kept[:min(found, k)]
}

// radii are the squared distances to the k-th nearest, from lists of at least k.
func radii(nearest [][]float64, k int) []float64 {
	out := make([]float64, len(nearest))
	for i, list := range nearest {
		out[i] = list[k-1]
	}
	return out
}

// unknown is a list of k distances that none is larger than.
func unknown(k int) []float64 { return slices.Repeat([]float64{math.Inf(1)}, k) }

// insert puts v into the ascending list in place of its largest number, if that
// is larger, and returns where; equal numbers stay in front.
func insert(ascending []float64, v float64) int {
	at, _ := slices.BinarySearchFunc(ascending, v, func(element, v float64) int {
		if element <= v {
			return -1
		}
		return 1
	})
	if at < len(ascending) {
		copy(ascending[at+1:], ascending[at:])
		ascending[at] = v
	}
	return at
}
