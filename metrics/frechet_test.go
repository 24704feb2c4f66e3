package metrics

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
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
		bias, deviation, err := FrechetBias(reference, f, 10, seed, nil)
		fatal(t, err)
		again, _, err := FrechetBias(reference, f, 10, seed, nil)
		fatal(t, err)
		if again != bias || deviation <= 0 {
			t.Fatal("not reproducible, or no deviation")
		}
		distances += distance
		biases += bias
	}
	about(t, "bias relative to the distance", biases/distances, 1, 0.15)
	_, _, err := FrechetBias(reference, normal(1, 1, d, 0, 1), 10, 1, nil)
	wantError(t, err, "at least 2 are needed")
	_, _, err = FrechetBias(reference, normal(1, 9, d, 0, 1), 1, 1, nil)
	wantError(t, err, "1 resamples")
	asked := 0
	_, _, err = FrechetBias(reference, normal(1, 9, d, 0, 1), 10, 1, func(int, int) error {
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
	_, _, err := FrechetBias(Statistics{Mean: make([]float64, 4), Covariance: make([]float64, 16)}, f, 2, 1, nil)
	fatal(t, err)
	_, err = KID(f, f)
	fatal(t, err)
	_, _, err = PrecisionRecall(f, f, 3)
	fatal(t, err)
	if n := torch.LiveTensors(); n != before {
		t.Errorf("%d tensors live, %d before", n, before)
	}
}

// A resample's distance is that of the vectors it holds, whether they are more than dimensions or fewer.
func TestResampledDistances(t *testing.T) {
	fatal(t, torch.Load())
	const d = 30
	reference, err := StatisticsOf(normal(1, 100, d, 0.3, 1))
	fatal(t, err)
	for _, n := range []int{80, 20} {
		f := normal(2, n, d, 0, 1)
		s := torch.NewScope(testdevice.Device())
		from, err := newGaussian(s, reference)
		fatal(t, err)
		rows, drawn := make([]int, n), Features{n, d, nil}
		for i := range rows {
			rows[i] = i * i % n
			drawn.Values = append(drawn.Values, f.Row(rows[i])...)
		}
		statistics, err := StatisticsOf(drawn)
		fatal(t, err)
		want, _, err := from.distance(statistics)
		fatal(t, err)
		got, err := newResampled(from, f).distance(rows)
		fatal(t, err)
		about(t, "distance", got/want, 1, 1e-6)
		s.Close()
	}
}

// The score of few samples is too small.
func TestInceptionScoreBias(t *testing.T) {
	score := func(n int) (float64, Features) {
		f := normal(3, n, 10, 0, 3)
		mean, _, err := InceptionScore(f, n)
		fatal(t, err)
		return mean, f
	}
	few, f := score(60)
	many, _ := score(20_000)
	bias, deviation, err := InceptionScoreBias(f, 60, 20, 1, nil)
	fatal(t, err)
	if bias >= 0 || deviation <= 0 || math.Abs(few-bias-many) > 3*deviation {
		t.Errorf("%v of 60 samples with a bias of %v ± %v, %v of many", few, bias, deviation, many)
	}
}

// Long computations tell how far they are, and end when they are told to.
func TestSteps(t *testing.T) {
	a, b := normal(1, blockRows+200, 4, 0, 1), normal(2, blockRows+100, 4, 0, 1)
	for name, compute := range map[string]func(Step) error{
		"reference": func(s Step) error { _, err := NewReference(Answers{Features: a}, s); return err },
		"nearest":   func(s Step) error { _, err := Nearest(a, b, 1, s); return err },
		"bootstrap": func(s Step) error { _, _, err := FrechetBias(mustStatistics(t, a), b, 3, 1, s); return err },
		"compare": func(s Step) error {
			r, err := NewReference(Answers{Features: a}, nil)
			fatal(t, err)
			_, err = r.Compare(Answers{Features: b}, s)
			return err
		},
	} {
		calls, last := 0, -1
		fatal(t, compute(func(done, total int) error {
			if calls++; done <= last || done > total {
				t.Errorf("%s: %d of %d after %d", name, done, total, last)
			}
			last = done
			return nil
		}))
		for stop := 1; stop <= calls; stop++ {
			left := stop
			err := compute(func(int, int) error {
				if left--; left == 0 {
					return errors.New("enough")
				}
				return nil
			})
			wantError(t, err, "enough")
		}
		if calls < 2 {
			t.Errorf("%s: %d calls", name, calls)
		}
	}
}

func mustStatistics(t *testing.T, f Features) Statistics {
	t.Helper()
	s, err := StatisticsOf(f)
	fatal(t, err)
	return s
}
