// Package diffusion is the mathematics of the method: preconditioning, the
// training loss, noise schedules, and the probability-flow ODE in both
// directions. Noise levels are called sigma; the forward process is
// x + sigma·n (variance exploding, Karras et al. 2022).
package diffusion

import (
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Constants of EDM (Karras et al. 2022, table 1).
const (
	SigmaData = 0.5   // standard deviation of the data
	SigmaMin  = 0.002 // end of sampling
	SigmaMax  = 80.   // where only noise is left; T
	Rho       = 7.    // curvature of the schedule
)

// Network is the raw network F(x, sigma, class): x (N,C,H,W) scaled by CIn,
// sigma (N), classes (N) or nil.
type Network interface {
	Forward(s *torch.Scope, x *torch.Tensor, sigma []float32, labels []int64) *torch.Tensor
}

// Denoiser estimates the clean images in x (N,C,H,W) at noise levels sigma (N).
type Denoiser func(s *torch.Scope, x *torch.Tensor, sigma []float32) *torch.Tensor

// Preconditioning makes a raw network a denoiser of x_t = alpha·x + beta·n:
// inputs and targets of the network have unit variance (EDM appendix B.6,
// generalised to any process as in sony/pagoda KarrasDenoiser).
type Preconditioning struct {
	Process   Process
	SigmaData float64 // standard deviation of the data
}

// EDM is the preconditioning of the functions of this package.
var EDM = Preconditioning{VE{}, SigmaData}

// CIn scales the network's input to unit variance.
func (p Preconditioning) CIn(t float64) float64 {
	alpha, beta := p.Process.At(t)
	return 1 / math.Hypot(beta, alpha*p.SigmaData)
}

// CSkip is the share of the input in the denoised image.
func (p Preconditioning) CSkip(t float64) float64 {
	alpha, beta := p.Process.At(t)
	return alpha * p.SigmaData * p.SigmaData / (beta*beta + alpha*alpha*p.SigmaData*p.SigmaData)
}

// COut scales the network's output in the denoised image.
func (p Preconditioning) COut(t float64) float64 {
	_, beta := p.Process.At(t)
	return beta * p.SigmaData * p.CIn(t)
}

// DecoderScalings are skip and output scales that leave the input as it is at
// time low, as consistency models have them (sony/pagoda get_decoder_scalings;
// its one-step generator does without).
func (p Preconditioning) DecoderScalings(t, low float64) (skip, out float64) {
	alpha, beta := p.Process.At(t)
	_, start := p.Process.At(low)
	excess, variance := beta-start, alpha*alpha*p.SigmaData*p.SigmaData
	return alpha * p.SigmaData * p.SigmaData / (excess*excess + variance), excess * p.SigmaData * p.CIn(t)
}

// Denoise is the preconditioned network; see [Wrap].
func (p Preconditioning) Denoise(net Network, labels []int64) Denoiser { return Wrap(p, net, labels) }

// Wrap is the denoiser D = c_skip·x + c_out·F(c_in·x, t, class) of a raw network
// (EDM equation 7), for images of the given classes.
func Wrap(p Wrapper, net Network, labels []int64) Denoiser {
	return func(s *torch.Scope, x *torch.Tensor, t []float32) *torch.Tensor {
		f := net.Forward(s, s.Mul(x, each(s, t, p.CIn)), t, labels)
		return s.Add(s.Mul(x, each(s, t, p.CSkip)), s.Mul(f, each(s, t, p.COut)))
	}
}

// CIn is that of EDM.
func CIn(sigma float64) float64 { return EDM.CIn(sigma) }

// Denoise is EDM's denoiser.
func Denoise(net Network, labels []int64) Denoiser { return EDM.Denoise(net, labels) }

// OneStep is the network's own output F(c_in(t)·x, t, class) for x (N,C,H,W) at
// time t, without skip scaling (sony/pagoda get_T_to_0): at the process's end the
// image that latents x stand for, at 0 the released code's estimate of the latents
// of images x, as a share of their standard deviation (see [EncoderLoss]).
func (p Preconditioning) OneStep(s *torch.Scope, net Network, x *torch.Tensor, t float64, labels []int64) *torch.Tensor {
	return net.Forward(s, s.Scale(x, p.CIn(t)), Repeat(t, x.Dim(0)), labels)
}

// Generate is EDM's one-step generator, for latents z (N,C,h,w) of standard deviation SigmaMax.
func Generate(s *torch.Scope, net Network, z *torch.Tensor, labels []int64) *torch.Tensor {
	return EDM.OneStep(s, net, z, SigmaMax, labels)
}

// each evaluates f at every noise level, as (N,1,1,1).
func each(s *torch.Scope, sigma []float32, f func(float64) float64) *torch.Tensor {
	out := make([]float32, len(sigma))
	for i, v := range sigma {
		out[i] = float32(f(float64(v)))
	}
	return s.FromFloat32(out, len(sigma), 1, 1, 1)
}

// Repeat gives a whole batch of n one noise level.
func Repeat(sigma float64, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(sigma)
	}
	return out
}
