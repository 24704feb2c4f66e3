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
	ofReal, ofGenerated := radii(real, k), radii(generated, k)
	realInside, generatedInside := make([]bool, real.N), make([]bool, generated.N)
	p := newPairs(real, generated)
	p.each(func(i, first int, low []float32) {
		for c, l := range low {
			j := first + c
			if r := ofReal[i]; !generatedInside[j] && !(float64(l) > r) {
				generatedInside[j] = p.against(r, i, j, l) <= r
			}
			if r := ofGenerated[j]; !realInside[i] && !(float64(l) > r) {
				realInside[i] = p.against(r, i, j, l) <= r
			}
		}
	})
	return share(generatedInside), share(realInside), nil
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
	ofReal := radii(real, k)
	inside := 0
	covered := make([]bool, real.N)
	p := newPairs(real, generated)
	p.each(func(i, first int, low []float32) {
		r := ofReal[i]
		for c, l := range low {
			if !(float64(l) > r) && p.against(r, i, first+c, l) < r {
				inside++
				covered[i] = true
			}
		}
	})
	return float64(inside) / float64(k) / float64(generated.N), share(covered), nil
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
