package metrics

import "testing"

// Sets larger than a block against the definition, pair by pair.
func TestKIDOfSeveralBlocks(t *testing.T) {
	a, b := normal(1, blockRows+30, 3, 0, 1), normal(2, blockRows+7, 3, 0.2, 1.1)
	sum := func(a, b Features, skipSame bool) (total float64) {
		for i := range a.N {
			for j := range b.N {
				if skipSame && i == j {
					continue
				}
				k := 1.
				for c, v := range a.Row(i) {
					k += float64(v) * float64(b.Row(j)[c]) / 3
				}
				total += k * k * k
			}
		}
		return total
	}
	n, m := float64(a.N), float64(b.N)
	want := sum(a, a, true)/(n*(n-1)) + sum(b, b, true)/(m*(m-1)) - 2*sum(a, b, false)/(n*m)
	got, err := KID(a, b)
	fatal(t, err)
	about(t, "KID", got, want, 1e-10)
}

// Unbiased: the mean over draws of the same distribution is 0.
func TestKIDOfOneDistribution(t *testing.T) {
	sum := 0.
	for seed := range uint64(40) {
		kid, err := KID(normal(2*seed, 50, 4, 0, 1), normal(2*seed+1, 60, 4, 0, 1))
		fatal(t, err)
		sum += kid
	}
	about(t, "mean KID", sum/40, 0, 0.03)
}
