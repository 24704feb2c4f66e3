package metrics

import (
	"fmt"

	"github.com/pagoda-go/pagoda/torch"
)

// PrecisionRecall are improved precision and recall (Kynkäänniemi et al. 2019;
// k is 3 in the literature), in [0,1]. A vector is inside a set when its
// distance to some member is at most that member's distance to its k-th nearest
// other member. Precision is the share of generated vectors inside the real
// set, recall the share of real ones inside the generated set. Distances are
// exact; guided-diffusion's evaluator has float16 ones, which moves its figures
// by some thousandths. Each set needs more than k vectors.
func PrecisionRecall(real, generated Features, k int) (precision, recall float64, err error) {
	defer torch.Recover(&err)
	if err := checkNeighbours(real, generated, k); err != nil {
		return 0, 0, err
	}
	p := newPairs(real, generated)
	ofReal, _ := nearestOthers(real, k, nil) // without a step nothing ends early
	ofGenerated, _ := nearestOthers(generated, k, nil)
	m := newMembership(p, radii(ofReal, k), radii(ofGenerated, k))
	err = p.each(nil, m.visit)
	precision, recall = m.figures()
	return precision, recall, err
}

// DensityCoverage are density and coverage (Naeem et al. 2020; k is 5 there).
// The ball of a real vector reaches to its k-th nearest other real vector,
// boundary excluded. Density is the mean number of balls a generated vector is
// in, divided by k (about 1 for equal distributions, may be larger); coverage is
// the share of balls with a generated vector inside, in [0,1]. Each set needs
// more than k vectors.
func DensityCoverage(real, generated Features, k int) (density, coverage float64, err error) {
	defer torch.Recover(&err)
	if err := checkNeighbours(real, generated, k); err != nil {
		return 0, 0, err
	}
	p := newPairs(real, generated)
	ofReal, _ := nearestOthers(real, k, nil) // without a step nothing ends early
	b := newBalls(p, radii(ofReal, k), k)
	err = p.each(nil, b.visit)
	density, coverage = b.figures()
	return density, coverage, err
}

// membership tells, pair by pair, which vectors lie inside the other set.
type membership struct {
	*pairs
	ofReal, ofGenerated         []float64 // squared radii
	realInside, generatedInside []bool
}

func newMembership(p *pairs, ofReal, ofGenerated []float64) *membership {
	return &membership{p, ofReal, ofGenerated, make([]bool, p.a.N), make([]bool, p.b.N)}
}

func (m *membership) visit(i, first int, low []float32) {
	for c, l := range low {
		j := first + c
		if r := m.ofReal[i]; !m.generatedInside[j] && !(float64(l) > r) {
			m.generatedInside[j] = m.against(r, i, j, l) <= r
		}
		if r := m.ofGenerated[j]; !m.realInside[i] && !(float64(l) > r) {
			m.realInside[i] = m.against(r, i, j, l) <= r
		}
	}
}

func (m *membership) figures() (precision, recall float64) {
	return share(m.generatedInside), share(m.realInside)
}

// balls counts, pair by pair, the generated vectors in the balls of the real ones.
type balls struct {
	*pairs
	radii   []float64 // squared
	k       int
	inside  int
	covered []bool
}

func newBalls(p *pairs, radii []float64, k int) *balls {
	return &balls{pairs: p, radii: radii, k: k, covered: make([]bool, p.a.N)}
}

func (b *balls) visit(i, first int, low []float32) {
	r := b.radii[i]
	for c, l := range low {
		if !(float64(l) > r) && b.against(r, i, first+c, l) < r {
			b.inside++
			b.covered[i] = true
		}
	}
}

func (b *balls) figures() (density, coverage float64) {
	return float64(b.inside) / float64(b.k) / float64(b.b.N), share(b.covered)
}

func checkNeighbours(real, generated Features, k int) error {
	if k < 1 {
		return fmt.Errorf("metrics: %d nearest neighbours, at least 1 is needed", k)
	}
	return checkPair(real, generated, k+1)
}

func share(of []bool) float64 {
	n := 0
	for _, in := range of {
		if in {
			n++
		}
	}
	return float64(n) / float64(len(of))
}
