package diffusion

import (
	"math"
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// LogNormal are noise levels for training: ln sigma ~ N(Mean, Std²); EDM has -1.2 and 1.2.
type LogNormal struct{ Mean, Std float64 }

// Level is the noise level at a standard normal number.
func (d LogNormal) Level(normal float64) float64 { return math.Exp(d.Mean + d.Std*normal) }

// Draw returns one noise level.
func (d LogNormal) Draw(r *rand.Rand) float32 { return float32(d.Level(r.NormFloat64())) }

// Loss is EDM's loss with EDM's weight, for sigma (N).
func Loss(s *torch.Scope, d Denoiser, x, noise *torch.Tensor, sigma []float32) *torch.Tensor {
	return EDM.Loss(s, d, x, noise, sigma, karras)
}

// Loss is the denoising loss of every image, lambda·mean((D(x_t; t)-x)²), shape
// (N): x (N,C,H,W) clean images, noise like x with unit variance, t (N) (EDM
// equation 8; sony/pagoda get_ode_loss).
func (p Preconditioning) Loss(s *torch.Scope, d Denoiser, x, noise *torch.Tensor, t []float32, weight Weighting) *torch.Tensor {
	alpha := func(t float64) float64 { a, _ := p.Process.At(t); return a }
	beta := func(t float64) float64 { _, b := p.Process.At(t); return b }
	lambda := func(t float64) float64 { r := alpha(t) / beta(t); return weight(r*r, p.SigmaData) }
	noised := s.Add(s.Mul(x, each(s, t, alpha)), s.Mul(noise, each(s, t, beta)))
	e := s.Square(s.Sub(d(s, noised, t), x))
	return s.Mean(s.Mul(e, each(s, t, lambda)), 1, 2, 3)
}
