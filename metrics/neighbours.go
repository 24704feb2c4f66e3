package metrics

import (
	"math"
	"runtime"
	"sync"

	"github.com/pagoda-go/pagoda/torch"
)

// pairs compares squared distances between the vectors of two sets with
// thresholds. Every decision is that of exact float64 distances; products in
// bfloat16 or float32, with a bound of their error, only spare computing most of them.
type pairs struct {
	a, b         Features
	same         bool      // a and b are one set: blocks below the diagonal are left out
	center       []float32 // subtracted from both sets, so that the products stay small
	normA, normB []float64 // squared norms of the centred vectors
	compute      torch.DType
	slack        float64 // bound of the product's error, relative to the sum of both norms
	rounding     float64 // bound of the error of what the product answers, relative to itself
	tiny         float64 // bound of what underflow adds
}

// overflow is the size from which on norms count as unknown: float32 products bound nothing there.
const overflow = 1e37

// rowsOfA and rowsOfB bound the memory that a comparison of all pairs takes beside the sets.
const rowsOfA, rowsOfB = 2048, 1024

func newPairs(a, b Features) *pairs { return newPairsIn(torch.Fastest(torch.CPU), a, b) }

func newPairsIn(compute torch.DType, a, b Features) *pairs {
	p := &pairs{a: a, b: b, center: center(a), compute: compute, tiny: float64(a.D) * 0x1p-120}
	// A float32 sum of D products is off by at most D·2⁻²⁴ of the norms; centring
	// and the additions add a few units. Doubled to be safe.
	p.slack = float64(a.D+16) * 0x1p-23
	var lossA, lossB float64
	p.normA, lossA = p.norms(a)
	p.normB, lossB = p.norms(b)
	if compute == torch.BFloat16 {
		// |x·y - x̂·ŷ| is at most |x||y-ŷ| + |x-x̂||ŷ|, and 2|x||y| at most |x|²+|y|².
		p.rounding = 0x1.02p-8
		p.slack += 1.01 * (lossA + lossB + lossA*lossB)
	}
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

// norms are the squared norms of the centred vectors. The loss is the largest
// share of a vector's norm that rounding it to bfloat16 takes away.
func (p *pairs) norms(f Features) (squares []float64, loss float64) {
	squares = make([]float64, f.N)
	for i := range squares {
		square, lost := 0., 0.
		for j, v := range f.Row(i) {
			c := v - p.center[j]
			r := float64(c - bfloat16(c))
			square += float64(c) * float64(c)
			lost += r * r
		}
		squares[i] = square
		if lost > 0 {
			loss = max(loss, math.Sqrt(lost/square))
		}
	}
	return squares, loss
}

// bfloat16 rounds to the nearest bfloat16, ties to even.
func bfloat16(v float32) float32 {
	bits := math.Float32bits(v)
	return math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff)
}

// each visits all pairs: lower bounds of the squared distances of vector i of a
// to the vectors of b from index first on, good until visit returns. NaN bounds
// nothing, hence the callers' !(low > threshold). The steps of w are vectors of a.
func (p *pairs) each(w *work, visit func(i, first int, low []float32)) error {
	root := torch.NewScope(torch.CPU).WithCompute(p.compute)
	defer root.Close()
	center := root.FromFloat32(p.center, p.a.D)
	lowA, lowB := p.lowered(p.normA), p.lowered(p.normB)
	rounding := float32(p.rounding)
	products := make([]float32, min(p.a.N, rowsOfA)*min(p.b.N, rowsOfB))
	for i, n := range blocks(p.a.N, rowsOfA) {
		if err := w.next(n); err != nil {
			return err
		}
		outer := root.Child()
		x := outer.To(outer.Scale(outer.Sub(p.a.tensor(outer, i, n), center), -2), p.compute)
		for j, m := range blocks(p.b.N, rowsOfB) {
			if p.same && j+m <= i {
				continue
			}
			s := outer.Child()
			low := products[:n*m]
			s.Linear(x, s.Sub(p.b.tensor(s, j, m), center), nil).CopyFloat32s(low)
			s.Close()
			inParallel(n, func(r int) {
				row := low[r*m : (r+1)*m]
				for c, v := range row {
					row[c] = v - rounding*float32(math.Abs(float64(v))) + (lowA[i+r] + lowB[j+c])
				}
			})
			for r := range n {
				visit(i+r, j, low[r*m:(r+1)*m])
			}
		}
		outer.Close()
	}
	return nil
}

// inParallel calls f with 0 to n-1, from as many goroutines as there are processors.
func inParallel(n int, f func(i int)) {
	var group sync.WaitGroup
	threads := runtime.GOMAXPROCS(0)
	for first := range threads {
		group.Go(func() {
			for i := first; i < n; i += threads {
				f(i)
			}
		})
	}
	group.Wait()
}

// lowered takes the error bound off norms; those float32 cannot hold become NaN.
func (p *pairs) lowered(norms []float64) []float32 {
	out := make([]float32, len(norms))
	for i, v := range norms {
		out[i] = float32(v*(1-p.slack) - p.tiny)
		if v > overflow {
			out[i] = float32(math.NaN())
		}
	}
	return out
}

// high is an upper bound of a pair's squared distance, infinite when low is NaN.
func (p *pairs) high(i, j int, low float32) float64 {
	h := float64(low) + 2*((p.slack+1.02*p.rounding)*(p.normA[i]+p.normB[j])+2*p.tiny)
	if math.IsNaN(h) {
		return math.Inf(1)
	}
	return h
}

// against returns a number that compares with the threshold as the exact
// squared distance of a's vector i to b's vector j does.
func (p *pairs) against(threshold float64, i, j int, low float32) float64 {
	if h := p.high(i, j, low); h < threshold {
		return h
	}
	return squaredDistance(p.a.Row(i), p.b.Row(j))
}

func squaredDistance(a, b []float32) float64 {
	var sums [4]float64 // of every fourth: their additions do not wait for each other
	n := len(a) &^ 3
	for i := 0; i < n; i += 4 {
		x, y := a[i:i+4:i+4], b[i:i+4:i+4]
		d0, d1 := float64(x[0])-float64(y[0]), float64(x[1])-float64(y[1])
		d2, d3 := float64(x[2])-float64(y[2]), float64(x[3])-float64(y[3])
		sums[0] += d0 * d0
		sums[1] += d1 * d1
		sums[2] += d2 * d2
		sums[3] += d3 * d3
	}
	for i := n; i < len(a); i++ {
		d := float64(a[i]) - float64(b[i])
		sums[i-n] += d * d
	}
	return sums[0] + sums[1] + (sums[2] + sums[3])
}
