package metrics

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Statistics are the mean and covariance of a set of features: the Gaussian
// that the Fréchet distance compares.
type Statistics struct {
	N          int       // number of vectors; 0 when unknown, as in published reference files
	Mean       []float64 // (D)
	Covariance []float64 // (D,D) row-major, normalised by N-1
}

// StatisticsOf returns the statistics of a whole set; errors as [Accumulator.Add] and [Accumulator.Statistics].
func StatisticsOf(f Features) (Statistics, error) {
	var a Accumulator
	for start, n := range blocks(f.N, blockRows) {
		if err := a.Add(Features{n, f.D, f.Values[start*f.D : (start+n)*f.D]}); err != nil {
			return Statistics{}, err
		}
	}
	return a.Statistics()
}

// Singular warns that there are no more vectors than dimensions: the covariance
// is singular and a Fréchet distance from it strongly biased upwards.
func (s Statistics) Singular() bool { return s.N > 0 && s.N <= len(s.Mean) }

// rank is the largest rank the covariance can have.
func (s Statistics) rank() int {
	if s.N == 0 {
		return len(s.Mean)
	}
	return min(len(s.Mean), s.N-1)
}

func (s Statistics) check() error {
	d := len(s.Mean)
	if d == 0 || len(s.Covariance) != d*d {
		return fmt.Errorf("metrics: statistics have a mean of %d and a covariance of %d values, want D and D*D", d, len(s.Covariance))
	}
	if s.N < 0 || s.N == 1 {
		return fmt.Errorf("metrics: statistics of %d vectors have no covariance, at least 2 are needed", s.N)
	}
	for i, v := range s.Mean {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("metrics: the mean is %v in dimension %d", v, i)
		}
	}
	for i, v := range s.Covariance {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("metrics: the covariance is %v in row %d, column %d", v, i/d, i%d)
		}
	}
	return nil
}

// Accumulator gathers [Statistics] from a stream of batches, in float64 and
// without keeping the features. The zero value is empty and ready.
type Accumulator struct {
	n       int
	mean    []float64
	scatter []float64 // sum of (x-mean)(x-mean)ᵀ
}

// Add takes in a batch. A batch of another dimension than the first, or with a
// NaN or infinite value (the error names its row), is refused whole.
func (a *Accumulator) Add(batch Features) (err error) {
	defer torch.Recover(&err)
	if err := batch.check("the features", 0); err != nil {
		return fmt.Errorf("%w (row 0 of this batch is row %d of the stream)", err, a.n)
	}
	if a.mean == nil {
		a.mean, a.scatter = make([]float64, batch.D), make([]float64, batch.D*batch.D)
	}
	if batch.D != len(a.mean) {
		return fmt.Errorf("metrics: features have %d dimensions, those before had %d", batch.D, len(a.mean))
	}
	if batch.N == 0 {
		return nil
	}
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	x := batch.tensor64(s, 0, batch.N)
	mean := s.MeanKeep(x, 0)
	x = s.Permute(s.Sub(x, mean), 1, 0)
	a.merge(batch.N, mean.Float64s(), s.Linear(x, x, nil).Float64s())
	return nil
}

// merge joins the moments of two sets (Chan, Golub & LeVeque 1979), free of the
// cancellation that sums of squares suffer.
func (a *Accumulator) merge(n int, mean, scatter []float64) {
	d := len(mean)
	total := float64(a.n + n)
	share := float64(n) / total
	weight := float64(a.n) * share
	for i, m := range mean {
		mean[i] = m - a.mean[i] // from here on the shift of the mean
	}
	for i, shift := range mean {
		a.mean[i] += share * shift
		row := a.scatter[i*d : (i+1)*d]
		for j, v := range scatter[i*d : (i+1)*d] {
			row[j] += v + weight*shift*mean[j]
		}
	}
	a.n += n
}

// Statistics returns the statistics of everything added so far; fewer than two
// vectors are an error.
func (a *Accumulator) Statistics() (Statistics, error) {
	if a.n < 2 {
		return Statistics{}, fmt.Errorf("metrics: %d feature vectors have no covariance, at least 2 are needed", a.n)
	}
	s := Statistics{N: a.n, Mean: append([]float64(nil), a.mean...), Covariance: make([]float64, len(a.scatter))}
	for i, v := range a.scatter {
		s.Covariance[i] = v / float64(a.n-1)
	}
	return s, nil
}
