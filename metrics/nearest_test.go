package metrics

import (
	"math"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

// Whatever the products are computed in, their bounds hold for every pair.
func TestBoundsHold(t *testing.T) {
	fatal(t, torch.Load())
	sets := map[string][2]Features{
		"normal":    {normal(1, 200, 300, 0, 1), normal(2, 150, 300, 0.3, 0.8)},
		"far apart": {normal(1, 100, 40, -1000, 1), normal(2, 100, 40, 1000, 1)},
		"equal":     {normal(1, 100, 64, 3, 1), normal(1, 100, 64, 3, 1)},
		"tiny":      {normal(1, 100, 16, 0, 1e-22), normal(2, 100, 16, 0, 1e-22)},
		"one":       {normal(1, 50, 1, 0, 1), normal(2, 50, 1, 0, 1)},
	}
	for _, compute := range []torch.DType{torch.Float32, torch.BFloat16} {
		for name, set := range sets {
			p := newPairsIn(compute, set[0], set[1])
			fatal(t, p.each(nil, func(i, first int, low []float32) {
				for c, l := range low {
					exact := squaredDistance(p.a.Row(i), p.b.Row(first+c))
					high := p.against(math.Inf(1), i, first+c, l)
					if !(float64(l) <= exact && exact <= high) {
						t.Fatalf("%s in %v: %v is not in [%v,%v]", name, compute, exact, l, high)
					}
				}
			}))
		}
	}
}

// Roundings to bfloat16, ties to even, as the hardware does them.
func TestBFloat16(t *testing.T) {
	fatal(t, torch.Load())
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	values := append(normal(1, 1, 1000, 0, 1).Values, 1, 1+0x1p-8, 1+0x3p-8, -1-0x1p-8, 1+0x1p-8+0x1p-20, 0, 3e38)
	want := s.To(s.To(s.FromFloat32(values, len(values)), torch.BFloat16), torch.Float32).Float32s()
	for i, v := range values {
		if bfloat16(v) != want[i] {
			t.Errorf("%v becomes %v, want %v", v, bfloat16(v), want[i])
		}
	}
}

func TestNearest(t *testing.T) {
	f, among := normal(1, 60, 8, 0, 1), normal(2, rowsOfB+200, 8, 0, 1)
	copy(f.Row(7), among.Row(rowsOfB+100)) // a repetition
	const k = 4
	nearest, err := Nearest(f, among, k, nil)
	fatal(t, err)
	for i, n := range nearest {
		order := make([]int, among.N)
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if squaredDistance(f.Row(i), among.Row(a)) < squaredDistance(f.Row(i), among.Row(b)) {
				return -1
			}
			return 1
		})
		if !slices.Equal(n.Indices, order[:k]) {
			t.Errorf("vector %d: %v, want %v", i, n.Indices, order[:k])
		}
		for c, j := range n.Indices {
			about(t, "distance", n.Distances[c], math.Sqrt(squaredDistance(f.Row(i), among.Row(j))), 1e-12)
		}
	}
	if n := nearest[7]; n.Indices[0] != rowsOfB+100 || n.Distances[0] != 0 {
		t.Errorf("the repetition is not found: %+v", n)
	}
	_, err = Nearest(f, normal(1, 3, 8, 0, 1), 4, nil)
	wantError(t, err, "4 nearest neighbours among 3 vectors")
	_, err = Nearest(f, normal(1, 30, 7, 0, 1), 1, nil)
	wantError(t, err, "7 dimensions, generated ones 8")
}

// Of equal distances the first vectors come first.
func TestNearestOfTies(t *testing.T) {
	nearest, err := Nearest(Features{1, 1, []float32{0}}, Features{5, 1, []float32{2, 1, -1, 1, -2}}, 4, nil)
	fatal(t, err)
	if want := []int{1, 2, 3, 0}; !slices.Equal(nearest[0].Indices, want) {
		t.Errorf("%v, want %v", nearest[0].Indices, want)
	}
}

// Among equal vectors no bound excludes anybody; lists stay short and exact all the same.
func TestNearestOthersOfEqualVectors(t *testing.T) {
	const n, d, k = 3*mostCandidates + 7, 8, 3
	f := Features{N: n, D: d, Values: make([]float32, n*d)}
	for i := range f.Values {
		f.Values[i] = 0.7
	}
	f.Values[0] = 2.7 // the first vector is 2 away from all others
	nearest, err := nearestOthers(f, k, nil)
	fatal(t, err)
	for i, squares := range nearest {
		for _, square := range squares {
			if want := map[bool]float64{true: 4, false: 0}[i == 0]; math.Abs(square-want) > 1e-6 {
				t.Fatalf("vector %d: %v", i, squares)
			}
		}
	}
	list := shortlist{highs: unknown(k)}
	for j := 2; j < n; j++ {
		if list.add(f, 1, j, 0, 1); len(list.candidates) > mostCandidates {
			t.Fatalf("%d candidates", len(list.candidates))
		}
	}
}
