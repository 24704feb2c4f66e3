package diffusion

import "math"

// Process is a forward process x_t = alpha(t)·x + beta(t)·n from images x to
// noise, n ~ N(0,1).
type Process interface {
	// At returns the scales of image and noise at time t.
	At(t float64) (alpha, beta float64)
	// Slope returns their derivatives by t.
	Slope(t float64) (alpha, beta float64)
}

// VE is the variance-exploding process, alpha = 1, beta = t: time is the noise
// level sigma, 0 to SigmaMax (EDM).
type VE struct{}

// At implements Process.
func (VE) At(t float64) (alpha, beta float64) { return 1, t }

// Slope implements Process.
func (VE) Slope(float64) (alpha, beta float64) { return 0, 1 }

// VP is the variance-preserving process, alpha² + beta² = 1, t from 0 to 1: the
// noise's rate grows from BetaMin to BetaMax, 0.1 and 20 as a rule (Song et al. 2021, equation 32).
type VP struct{ BetaMin, BetaMax float64 }

// At implements Process.
func (p VP) At(t float64) (alpha, beta float64) {
	integral := p.BetaMin*t + (p.BetaMax-p.BetaMin)*t*t/2
	return math.Exp(-integral / 2), math.Sqrt(-math.Expm1(-integral))
}

// Slope implements Process.
func (p VP) Slope(t float64) (alpha, beta float64) {
	a, b := p.At(t)
	rate := p.BetaMin + (p.BetaMax-p.BetaMin)*t
	return -rate / 2 * a, rate / 2 * a * a / b
}

// RectifiedFlow is the straight path from image to noise, alpha = 1-t, beta = t,
// t from 0 to 1 (Liu et al. 2023).
type RectifiedFlow struct{}

// At implements Process.
func (RectifiedFlow) At(t float64) (alpha, beta float64) { return 1 - t, t }

// Slope implements Process.
func (RectifiedFlow) Slope(float64) (alpha, beta float64) { return -1, 1 }
