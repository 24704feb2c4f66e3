package diffusion

import "math"

// Wrapper makes a raw network a denoiser of x + sigma·n:
// D = CSkip·x + COut·F(CIn·x), the functions being of sigma (EDM equation 7).
type Wrapper interface {
	CIn(sigma float64) float64
	CSkip(sigma float64) float64
	COut(sigma float64) float64
}

// VPPrecond wraps a network that predicts the noise of the variance-preserving
// process at one of Levels times (EDM table 1, column VP; NVlabs/edm
// training/networks.py).
type VPPrecond struct {
	BetaD, BetaMin float64 // growth and start of the noise's rate: 19.9 and 0.1
	Levels         int     // M: 1000
}

// CIn implements Wrapper.
func (VPPrecond) CIn(sigma float64) float64 { return 1 / math.Sqrt(sigma*sigma+1) }

// CSkip implements Wrapper.
func (VPPrecond) CSkip(float64) float64 { return 1 }

// COut implements Wrapper.
func (VPPrecond) COut(sigma float64) float64 { return -sigma }

// NoiseArgument is the number by which the network sees sigma: its time in
// [0, Levels-1]. It is computed in float32, as where the network was trained:
// at sigma 0.002 that makes a difference of a hundredth.
func (p VPPrecond) NoiseArgument(sigma float32) float32 {
	log := float32(math.Log(float64(1 + sigma*sigma)))
	root := float32(math.Sqrt(float64(float32(p.BetaMin*p.BetaMin) + float32(2*p.BetaD)*log)))
	return float32(p.Levels-1) * ((root - float32(p.BetaMin)) / float32(p.BetaD))
}

// VEPrecond wraps a network that predicts the score, times sigma, of the
// variance-exploding process (EDM table 1, column VE; NVlabs/edm training/networks.py).
type VEPrecond struct{}

// CIn implements Wrapper.
func (VEPrecond) CIn(float64) float64 { return 1 }

// CSkip implements Wrapper.
func (VEPrecond) CSkip(float64) float64 { return 1 }

// COut implements Wrapper.
func (VEPrecond) COut(sigma float64) float64 { return sigma }

// NoiseArgument is the number by which the network sees sigma: ln(sigma/2).
func (VEPrecond) NoiseArgument(sigma float32) float32 { return float32(math.Log(float64(sigma) / 2)) }
