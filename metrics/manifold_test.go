package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// byDefinition computes the four figures from the whole distance matrix.
func byDefinition(real, generated Features, k int) (precision, recall, density, coverage float64) {
	radii := func(f Features) []float64 {
		out := make([]float64, f.N)
		for i := range out {
			var all []float64
			for j := range f.N {
				if i != j {
					all = append(all, squaredDistance(f.Row(i), f.Row(j)))
				}
			}
			slices.Sort(all)
			out[i] = all[k-1]
		}
		return out
	}
	ofReal, ofGenerated := radii(real), radii(generated)
	inReal, inGenerated, covered := make([]bool, generated.N), make([]bool, real.N), make([]bool, real.N)
	for i := range real.N {
		for j := range generated.N {
			d := squaredDistance(real.Row(i), generated.Row(j))
			inReal[j] = inReal[j] || d <= ofReal[i]
			inGenerated[i] = inGenerated[i] || d <= ofGenerated[j]
			if d < ofReal[i] {
				covered[i] = true
				density += 1 / float64(k*generated.N)
			}
		}
	}
	return share(inReal), share(inGenerated), density, share(covered)
}

// Float32 products must not change one decision, whatever the features' scale and place.
func TestNeighboursAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	grid := func(n int) Features { // distances with many ties
		f := Features{n, 6, make([]float32, n*6)}
		for i := range f.Values {
			f.Values[i] = float32(r.IntN(3))
		}
		return f
	}
	outlier := normal(5, 150, 16, 0, 1)
	for i := range 16 {
		outlier.Values[i] = 1e4
	}
	for name, sets := range map[string][2]Features{
		"several blocks":  {normal(1, rowsOfA+20, 8, 0, 1), normal(2, rowsOfB+50, 8, 0.3, 0.8)},
		"far from origin": {normal(1, 150, 16, 1000, 0.01), normal(2, 130, 16, 1000, 0.01)},
		"far apart":       {normal(1, 150, 16, -1000, 1), normal(2, 130, 16, 1000, 1)},
		"outlier":         {outlier, normal(2, 130, 16, 0, 1)},
		"ties":            {grid(200), grid(180)},
		"tiny":            {normal(1, 150, 16, 0, 1e-22), normal(2, 130, 16, 0, 1e-22)},
		"huge":            {normal(1, 150, 16, 0, 1e30), normal(2, 130, 16, 0, 1e30)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, k := range []int{1, 4} {
				precision, recall, err := PrecisionRecall(sets[0], sets[1], k)
				fatal(t, err)
				density, coverage, err := DensityCoverage(sets[0], sets[1], k)
				fatal(t, err)
				p, r, d, c := byDefinition(sets[0], sets[1], k)
				if precision != p || recall != r || coverage != c || math.Abs(density-d) > 1e-9 {
					t.Errorf("k=%d: %v %v %v %v, by definition %v %v %v %v", k, precision, recall, density, coverage, p, r, d, c)
				}
			}
		})
	}
}

func TestNeighboursOfItselfAndOfStrangers(t *testing.T) {
	f := normal(1, 100, 8, 0, 1)
	precision, recall, err := PrecisionRecall(f, f, 3)
	fatal(t, err)
	density, coverage, err := DensityCoverage(f, f, 5)
	fatal(t, err)
	if got := fmt.Sprint(precision, recall, density, coverage); got != "1 1 1 1" {
		t.Error(got) // density: every ball holds its centre and k-1 neighbours inside
	}
	far := normal(1, 100, 8, 50, 1)
	precision, recall, err = PrecisionRecall(f, far, 3)
	fatal(t, err)
	density, coverage, err = DensityCoverage(f, far, 5)
	fatal(t, err)
	if got := fmt.Sprint(precision, recall, density, coverage); got != "0 0 0 0" {
		t.Error(got)
	}
	_, _, err = PrecisionRecall(f, f, 0)
	wantError(t, err, "0 nearest neighbours")
	_, _, err = PrecisionRecall(f, f, 100)
	wantError(t, err, "at least 101 are needed")
}
