package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// FrechetBias estimates by bootstrap (Efron 1979) how much too large [Frechet]
// comes out because there are few generated samples: the bias, to be subtracted,
// and the standard deviation of the distance. It draws resamples (20 are plenty)
// of the generated vectors with replacement, the same ones for the same seed. The
// reference stays as it is. Good where vectors outnumber dimensions; below, the
// bias is at least about what it says. Each resample costs one eigendecomposition.
func FrechetBias(reference Statistics, generated Features, resamples int, seed uint64, step Step) (bias, deviation float64, err error) {
	defer torch.Recover(&err)
	if err := generated.check("the generated features", 2); err != nil {
		return 0, 0, err
	}
	if d := len(reference.Mean); d != generated.D {
		return 0, 0, fmt.Errorf("metrics: statistics of %d dimensions, features of %d: not from the same network", d, generated.D)
	}
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	from, err := newGaussian(s, reference)
	if err != nil {
		return 0, 0, err
	}
	v := newResampled(from, generated)
	return bootstrap(generated.N, v.distance, resamples, seed, step)
}

// InceptionScoreBias is the same of the mean of [InceptionScore], which comes out
// too small where there are few samples.
func InceptionScoreBias(logits Features, splitSize, resamples int, seed uint64, step Step) (bias, deviation float64, err error) {
	if err := logits.check("the logits", 2); err != nil {
		return 0, 0, err
	}
	resample := Features{logits.N, logits.D, make([]float32, len(logits.Values))}
	return bootstrap(logits.N, func(rows []int) (float64, error) {
		for to, from := range rows {
			copy(resample.Row(to), logits.Row(from))
		}
		mean, _, err := InceptionScore(resample, splitSize)
		return mean, err
	}, resamples, seed, step)
}

// bootstrap compares a figure of n rows with those of n rows drawn from them.
func bootstrap(n int, figure func(rows []int) (float64, error), resamples int, seed uint64, step Step) (bias, deviation float64, err error) {
	if resamples < 2 {
		return 0, 0, fmt.Errorf("metrics: bootstrap of %d resamples, at least 2 are needed", resamples)
	}
	w := &work{step: step, total: resamples + 1}
	if err := w.next(1); err != nil {
		return 0, 0, err
	}
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	measured, err := figure(rows)
	if err != nil {
		return 0, 0, err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	figures := make([]float64, resamples)
	for r := range figures {
		if err := w.next(1); err != nil {
			return 0, 0, err
		}
		for i := range rows {
			rows[i] = random.IntN(n)
		}
		if figures[r], err = figure(rows); err != nil {
			return 0, 0, err
		}
	}
	mean := Mean(figures)
	for _, v := range figures {
		deviation += (v - mean) * (v - mean)
	}
	return mean - measured, math.Sqrt(deviation / float64(resamples-1)), w.next(0)
}

// resampled computes the Fréchet distances of resamples of vectors X from a
// Gaussian (μ,A). With Y = X·A^½, the covariance of Y is A^½·B·A^½, whose
// eigenvalues those of the products of its rows are as well: of two square
// matrices the smaller one is decomposed.
type resampled struct {
	from      gaussian
	features  Features
	projected *torch.Tensor // Y (N,D), float64
}

func newResampled(from gaussian, f Features) *resampled {
	s := from.scope
	var parts []*torch.Tensor
	for start, n := range blocks(f.N, blockRows) {
		parts = append(parts, s.Local(func(s *torch.Scope) *torch.Tensor {
			return s.MatMul(f.tensor64(s, start, n), from.root)
		}))
	}
	return &resampled{from, f, s.Cat(0, parts...)}
}

// distance is the Fréchet distance of the rows' Gaussian.
func (v *resampled) distance(rows []int) (float64, error) {
	n, d := float64(len(rows)), v.features.D
	times := make([]float64, v.features.N) // that each row was drawn
	for _, i := range rows {
		times[i]++
	}
	var distinct []int64
	var weights []float64
	mean := make([]float64, d)
	for i, w := range times {
		if w == 0 {
			continue
		}
		distinct, weights = append(distinct, int64(i)), append(weights, w/n)
		for j, x := range v.features.Row(i) {
			mean[j] += w / n * float64(x)
		}
	}
	distance := 0.
	for j, m := range mean {
		shift := m - v.from.stats.Mean[j]
		distance += shift*shift + v.from.stats.Covariance[j*d+j]
	}
	for at, i := range distinct {
		for j, x := range v.features.Row(int(i)) {
			c := float64(x) - mean[j]
			distance += weights[at] * n / (n - 1) * c * c
		}
	}
	distance -= 2 * v.rootTrace(distinct, weights, n/(n-1))
	return max(distance, 0), nil
}

// rootTrace is tr((A^½·B·A^½)^½) for the covariance B of weighted rows, times the correction.
func (v *resampled) rootTrace(rows []int64, weights []float64, correction float64) float64 {
	s := v.from.scope.Child()
	defer s.Close()
	k := len(rows)
	w := s.FromFloat64(weights, 1, k)
	y := s.IndexSelect(v.projected, 0, s.FromInt64(rows, k))
	y = s.Sub(y, s.MatMul(w, y))
	roots := make([]float64, k)
	for i, weight := range weights {
		roots[i] = math.Sqrt(weight * correction)
	}
	y = s.Mul(y, s.FromFloat64(roots, k, 1))
	if k > v.features.D {
		y = s.Permute(y, 1, 0)
	}
	eigenvalues, _ := s.Eigh(s.Linear(y, y, nil))
	values := eigenvalues.Float64s() // ascending; beyond the rank they are rounding
	trace := 0.
	for _, value := range values[max(0, len(values)-min(k-1, v.from.stats.rank())):] {
		trace += math.Sqrt(max(value, 0))
	}
	return trace
}
