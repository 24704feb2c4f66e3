package metrics

import (
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/torch"
)

// pairs compares squared distances between the vectors of two sets with
// thresholds. Every decision is that of exact float64 distances; float32 matrix
// products, with a bound of their error, only spare computing most of them.
type pairs struct {
	a, b         Features
	same         bool      // a and b are one set: blocks below the diagonal are left out
	center       []float32 // subtracted from both sets, so that the products stay small
	normA, normB []float64 // squared norms of the centred vectors
	slack        float64   // bound of the product's error, relative to the sum of both norms
}

// Outside these limits float32 products bound nothing.
const (
	overflow  = 1e37  // norms from here on count as unknown
	underflow = 1e-35 // absolute error of sums of tiny products
)

func newPairs(a, b Features) *pairs {
	p := &pairs{a: a, b: b, center: center(a)}
	p.normA, p.normB = p.norms(a), p.norms(b)
	// A float32 sum of D products is off by at most D·2⁻²⁴ of the norms; centring
	// and the additions add a few units. Doubled to be safe.
	p.slack = float64(a.D+16) * 0x1p-23
	return p
}

func center(f Features) []float32 {
	sums := make([]float64, f.D)
	for i := range f.N {
		for j, v := range f.Row(i) {
			sums[j] += float64(v)
		}
	}
	out := make([]float32, f.D)
	for j, sum := range sums {
		out[j] = float32(sum / float64(f.N))
	}
	return out
}

func (p *pairs) norms(f Features) []float64 {
	out := make([]float64, f.N)
	for i := range out {
		for j, v := range f.Row(i) {
			c := float64(v - p.center[j])
			out[i] += c * c
		}
	}
	return out
}

// each visits all pairs: lower bounds of the squared distances of vector i of a
// to the vectors of b from index first on. NaN bounds nothing, hence the
// callers' !(low > threshold).
func (p *pairs) each(visit func(i, first int, low []float32)) {
	root := torch.NewScope(torch.CPU)
	defer root.Close()
	center := root.FromFloat32(p.center, p.a.D)
	for i, n := range blocks(p.a.N) {
		outer := root.Child()
		x := outer.Scale(outer.Sub(p.a.tensor(outer, i, n), center), -2)
		normX := outer.FromFloat32(p.lowered(p.normA[i:i+n]), n, 1)
		for j, m := range blocks(p.b.N) {
			if p.same && j < i {
				continue
			}
			s := outer.Child()
			y := s.Sub(p.b.tensor(s, j, m), center)
			normY := s.FromFloat32(p.lowered(p.normB[j:j+m]), 1, m)
			low := s.Add(s.Linear(x, y, nil), s.Add(normX, normY)).Float32s()
			s.Close()
			for r := range n {
				visit(i+r, j, low[r*m:(r+1)*m])
			}
		}
		outer.Close()
	}
}

// lowered takes the error bound off norms; those float32 cannot hold become NaN.
func (p *pairs) lowered(norms []float64) []float32 {
	out := make([]float32, len(norms))
	for i, v := range norms {
		out[i] = float32(v*(1-p.slack) - underflow)
		if v > overflow {
			out[i] = float32(math.NaN())
		}
	}
	return out
}

// against returns a number that compares with the threshold as the exact
// squared distance of a's vector i to b's vector j does.
func (p *pairs) against(threshold float64, i, j int, low float32) float64 {
	high := float64(low) + 2*p.slack*(p.normA[i]+p.normB[j]) + 4*underflow
	if high < threshold {
		return high
	}
	return squaredDistance(p.a.Row(i), p.b.Row(j))
}

func squaredDistance(a, b []float32) float64 {
	sum := 0.
	for i, v := range a {
		d := float64(v) - float64(b[i])
		sum += d * d
	}
	return sum
}

// radii are the squared distances of every vector to its k-th nearest other one.
func radii(f Features, k int) []float64 {
	p := newPairs(f, f)
	p.same = true
	nearest := make([]float64, f.N*k) // the k smallest of every vector so far, ascending
	for i := range nearest {
		nearest[i] = math.Inf(1)
	}
	p.each(func(i, first int, low []float32) {
		mine := nearest[i*k : (i+1)*k]
		for j := max(first, i+1); j < first+len(low); j++ {
			l, theirs := float64(low[j-first]), nearest[j*k:(j+1)*k]
			if l > mine[k-1] && l > theirs[k-1] {
				continue
			}
			d := squaredDistance(f.Row(i), f.Row(j))
			insert(mine, d)
			insert(theirs, d)
		}
	})
	out := make([]float64, f.N)
	for i := range out {
		out[i] = nearest[(i+1)*k-1]
	}
	return out
}

// insert puts v into the ascending list in place of its largest number, if that is larger.
func insert(ascending []float64, v float64) {
	at, _ := slices.BinarySearch(ascending, v)
	if at < len(ascending) {
		copy(ascending[at+1:], ascending[at:])
		ascending[at] = v
	}
}
