package diffusion

import (
	"math"
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// LogNormal are noise levels for training: ln sigma ~ N(Mean, Std²); EDM has -1.2 and 1.2.
type LogNormal struct{ Mean, Std float64 }

// Draw returns one noise level.
func (d LogNormal) Draw(r *rand.Rand) float32 {
	return float32(math.Exp(d.Mean + d.Std*r.NormFloat64()))
}

// Loss is the denoising loss of every image, lambda(sigma)·mean((D(x+sigma·n; sigma)-x)²), shape
// (N): x (N,C,H,W) clean images, noise like x with unit variance, sigma (N) (EDM equation 8).
func Loss(s *torch.Scope, d Denoiser, x, noise *torch.Tensor, sigma []float32) *torch.Tensor {
	noised := s.Add(x, s.Mul(noise, each(s, sigma, func(v float64) float64 { return v })))
	e := s.Square(s.Sub(d(s, noised, sigma), x))
	return s.Mean(s.Mul(e, each(s, sigma, Weight)), 1, 2, 3)
}
