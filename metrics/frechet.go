package metrics

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Frechet is the squared Fréchet distance between two Gaussians (Heusel et al.
// 2017): FID on Inception's pooled features, sFID on its spatial ones, FD-DINOv2
// on DINOv2's.
//
//	|μa-μb|² + tr(A) + tr(B) - 2·tr((A^½·B·A^½)^½)
//
// This symmetric form has the trace of the reference's sqrtm(A·B), without its
// complex results. The residual is the larger of |R·R-M|/|M| (Frobenius) over
// both square roots R of M; some 1e-14 is right, 1e-6 is a reason for doubt.
// Errors: different or wrong dimensions, NaN or infinite values.
func Frechet(a, b Statistics) (distance, residual float64, err error) {
	defer torch.Recover(&err)
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	from, err := newGaussian(s, a)
	if err != nil {
		return 0, 0, err
	}
	return from.distance(b)
}

// gaussian is one side of a Fréchet distance with the square root of its covariance.
type gaussian struct {
	scope    *torch.Scope
	stats    Statistics
	root     *torch.Tensor // (D,D)
	residual float64
}

func newGaussian(s *torch.Scope, stats Statistics) (gaussian, error) {
	if err := stats.check(); err != nil {
		return gaussian{}, err
	}
	root, _, residual := squareRoot(s, covariance(s, stats), stats.rank())
	return gaussian{s, stats, root, residual}, nil
}

func (g gaussian) distance(b Statistics) (distance, residual float64, err error) {
	if err := b.check(); err != nil {
		return 0, 0, err
	}
	d := len(g.stats.Mean)
	if len(b.Mean) != d {
		return 0, 0, fmt.Errorf("metrics: statistics of %d and %d dimensions: not from the same network", d, len(b.Mean))
	}
	s := g.scope.Child()
	defer s.Close()
	product := s.MatMul(s.MatMul(g.root, covariance(s, b)), g.root)
	_, trace, residual := squareRoot(s, product, min(g.stats.rank(), b.rank()))
	distance = -2 * trace
	for i, m := range g.stats.Mean {
		shift := m - b.Mean[i]
		distance += shift*shift + g.stats.Covariance[i*d+i] + b.Covariance[i*d+i]
	}
	return max(distance, 0), max(residual, g.residual), nil // below 0 is rounding
}

func covariance(s *torch.Scope, stats Statistics) *torch.Tensor {
	return s.FromFloat64(stats.Covariance, len(stats.Mean), len(stats.Mean))
}

// squareRoot is the symmetric square root of the positive semi-definite m (D,D)
// with its trace and residual. Of a matrix of lower rank only that many
// eigenvalues count: the others are rounding, but their roots would not be.
func squareRoot(s *torch.Scope, m *torch.Tensor, rank int) (root *torch.Tensor, trace, residual float64) {
	s = s.Child()
	defer s.Close()
	eigenvalues, vectors := s.Eigh(m)
	values := eigenvalues.Float64s() // ascending
	clear(values[:len(values)-rank])
	for i, v := range values {
		values[i] = math.Sqrt(max(v, 0))
		trace += values[i]
	}
	root = s.Linear(s.Mul(vectors, s.FromFloat64(values, len(values))), vectors, nil)
	if size := torch.Norm([]*torch.Tensor{m}); size > 0 {
		residual = torch.Norm([]*torch.Tensor{s.Sub(s.MatMul(root, root), m)}) / size
	}
	return s.Keep(root), trace, residual
}
