package metrics

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// normal draws n vectors of d numbers with the given mean and standard deviation.
func normal(seed uint64, n, d int, mean, deviation float64) Features {
	r := rand.New(rand.NewPCG(seed, 0))
	f := Features{n, d, make([]float32, n*d)}
	for i := range f.Values {
		f.Values[i] = float32(mean + deviation*r.NormFloat64())
	}
	return f
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}

func about(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, want %v within %v", what, got, want, tolerance)
	}
}

// Every metric of two sets refuses what cannot be compared, and says why.
func TestBadFeatures(t *testing.T) {
	good, broken := normal(1, 20, 4, 0, 1), normal(2, 20, 4, 0, 1)
	broken.Values[7*4+2] = float32(math.NaN())
	for name, metric := range map[string]func(a, b Features) error{
		"KID":             func(a, b Features) error { _, err := KID(a, b); return err },
		"PrecisionRecall": func(a, b Features) error { _, _, err := PrecisionRecall(a, b, 3); return err },
		"DensityCoverage": func(a, b Features) error { _, _, err := DensityCoverage(a, b, 3); return err },
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, metric(good, broken), "generated features contain NaN in row 7, dimension 2")
			wantError(t, metric(broken, good), "real features contain NaN in row 7")
			wantError(t, metric(good, normal(3, 20, 5, 0, 1)), "real features have 4 dimensions, generated ones 5")
			wantError(t, metric(good, normal(3, 1, 4, 0, 1)), "have 1 vectors")
			wantError(t, metric(good, Features{20, 4, nil}), "0 values for 20 vectors of 4")
		})
	}
}
