package metrics

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/torch"
)

func TestStatisticsDoNotDependOnBatches(t *testing.T) {
	f := normal(1, 100, 6, 1e4, 1) // a mean far above the deviation
	whole, err := StatisticsOf(f)
	fatal(t, err)
	var a Accumulator
	for start := 0; start < f.N; {
		n := min(1+start%7, f.N-start)
		fatal(t, a.Add(Features{n, f.D, f.Values[start*f.D : (start+n)*f.D]}))
		start += n
	}
	parts, err := a.Statistics()
	fatal(t, err)
	for i, v := range whole.Covariance {
		about(t, "covariance", parts.Covariance[i], v, 1e-9)
	}
	direct := 0.
	for i := range f.N {
		direct += (float64(f.Row(i)[0]) - whole.Mean[0]) * (float64(f.Row(i)[1]) - whole.Mean[1]) / 99
	}
	about(t, "covariance", whole.Covariance[1], direct, 1e-9)
	if parts.N != 100 || parts.Singular() || !(Statistics{N: 6, Mean: whole.Mean}).Singular() {
		t.Error("wrong count or warning")
	}
}

func TestBadStatistics(t *testing.T) {
	var a Accumulator
	fatal(t, a.Add(normal(1, 1, 3, 0, 1)))
	_, err := a.Statistics()
	wantError(t, err, "1 feature vectors have no covariance")
	wantError(t, a.Add(normal(1, 5, 4, 0, 1)), "have 4 dimensions, those before had 3")
	broken := normal(1, 5, 3, 0, 1)
	broken.Values[2*3] = float32(math.Inf(1))
	wantError(t, a.Add(broken), "+Inf in row 2, dimension 0 (row 0 of this batch is row 1 of the stream)")

	three, err := StatisticsOf(normal(1, 10, 3, 0, 1))
	fatal(t, err)
	four, err := StatisticsOf(normal(1, 10, 4, 0, 1))
	fatal(t, err)
	_, _, err = Frechet(three, four)
	wantError(t, err, "3 and 4 dimensions")
	four.Covariance[6] = math.NaN()
	_, _, err = Frechet(four, four)
	wantError(t, err, "covariance is NaN in row 1, column 2")
}

// Gaussians with diagonal covariances have the distance sum((μ-ν)² + (σ-τ)²).
func TestFrechetOfKnownGaussians(t *testing.T) {
	a := Statistics{Mean: []float64{1, 2, 3}, Covariance: []float64{4, 0, 0, 0, 9, 0, 0, 0, 0}}
	b := Statistics{Mean: []float64{2, 2, 1}, Covariance: []float64{1, 0, 0, 0, 25, 0, 0, 0, 16}}
	distance, residual, err := Frechet(a, b)
	fatal(t, err)
	about(t, "distance", distance, (1+0+4)+(1+4+16), 1e-12)
	about(t, "residual", residual, 0, 1e-14)
}

// A set is at distance 0 from itself, also where the covariance is singular.
func TestFrechetOfItself(t *testing.T) {
	for _, n := range []int{500, 20} {
		s, err := StatisticsOf(normal(1, n, 40, 0.5, 1))
		fatal(t, err)
		distance, residual, err := Frechet(s, s)
		fatal(t, err)
		about(t, "distance", distance, 0, 1e-9)
		about(t, "residual", residual, 0, 1e-12)
	}
}

// The rank that few vectors leave is used: the rounding noise of the other
// eigenvalues would show at 1e-8 each. Doubling every vector doubles the scale.
func TestFrechetOfFewVectors(t *testing.T) {
	f := normal(1, 20, 300, 0, 1)
	doubled := Features{f.N, f.D, slices.Clone(f.Values)}
	for i := range doubled.Values {
		doubled.Values[i] *= 2
	}
	a, err := StatisticsOf(f)
	fatal(t, err)
	b, err := StatisticsOf(doubled)
	fatal(t, err)
	want := 0.
	for i, m := range a.Mean {
		want += m*m + a.Covariance[i*f.D+i]
	}
	distance, _, err := Frechet(a, b)
	fatal(t, err)
	about(t, "distance", distance/want, 1, 1e-12)
}

// Both sets are from the same distribution: all of the distance is bias.
func TestBootstrapFindsTheBias(t *testing.T) {
	const d = 8
	reference := Statistics{Mean: make([]float64, d), Covariance: make([]float64, d*d)}
	for i := range d {
		reference.Covariance[i*d+i] = 1
	}
	distances, biases := 0., 0.
	for seed := range uint64(10) {
		f := normal(seed, 200, d, 0, 1)
		s, err := StatisticsOf(f)
		fatal(t, err)
		distance, _, err := Frechet(reference, s)
		fatal(t, err)
		bias, deviation, err := Bootstrap(reference, f, 10, seed, nil)
		fatal(t, err)
		again, _, err := Bootstrap(reference, f, 10, seed, nil)
		fatal(t, err)
		if again != bias || deviation <= 0 {
			t.Fatal("not reproducible, or no deviation")
		}
		distances += distance
		biases += bias
	}
	about(t, "bias relative to the distance", biases/distances, 1, 0.15)
	_, _, err := Bootstrap(reference, normal(1, 1, d, 0, 1), 10, 1, nil)
	wantError(t, err, "at least 2 are needed")
	_, _, err = Bootstrap(reference, normal(1, 9, d, 0, 1), 1, 1, nil)
	wantError(t, err, "1 resamples")
	asked := 0
	_, _, err = Bootstrap(reference, normal(1, 9, d, 0, 1), 10, 1, func() error {
		if asked++; asked == 3 {
			return errors.New("enough")
		}
		return nil
	})
	wantError(t, err, "enough")
}

func TestNothingStaysAlive(t *testing.T) {
	fatal(t, torch.Load())
	before := torch.LiveTensors()
	f := normal(1, 30, 4, 0, 1)
	_, _, err := Bootstrap(Statistics{Mean: make([]float64, 4), Covariance: make([]float64, 16)}, f, 2, 1, nil)
	fatal(t, err)
	_, err = KID(f, f)
	fatal(t, err)
	_, _, err = PrecisionRecall(f, f, 3)
	fatal(t, err)
	if n := torch.LiveTensors(); n != before {
		t.Errorf("%d tensors live, %d before", n, before)
	}
}
