package diffusion

import "math"

// IDDPMPrecond wraps a network that predicts the noise at one of so many discrete
// times, as those of DDPM, iDDPM and guided-diffusion do (EDM table 1, column
// iDDPM; NVlabs/edm training/networks.py). A noise level is seen as the nearest time's.
type IDDPMPrecond struct {
	sigmas []float64 // of times 0, 1, …: growing
}

// The schedules of guided-diffusion: betas that grow linearly (Ho et al. 2020), and
// those of a squared cosine (Nichol & Dhariwal 2021), each at most 0.999.
const (
	LinearSchedule = "linear"
	CosineSchedule = "cosine"
)

// NewIDDPMPrecond makes the wrapper for a schedule of so many times, 1000 as a rule.
func NewIDDPMPrecond(schedule string, times int) IDDPMPrecond {
	beta := func(t int) float64 { // from 1e-4 to 0.02 over 1000 times
		return 1000 / float64(times) * (1e-4 + (0.02-1e-4)*float64(t)/float64(times-1))
	}
	if schedule == CosineSchedule {
		alpha := func(t int) float64 {
			cos := math.Cos((float64(t)/float64(times) + 0.008) / 1.008 * math.Pi / 2)
			return cos * cos
		}
		beta = func(t int) float64 { return min(1-alpha(t+1)/alpha(t), 0.999) }
	}
	p, alpha := IDDPMPrecond{}, 1.
	for t := range times {
		alpha *= 1 - beta(t)
		p.sigmas = append(p.sigmas, math.Sqrt((1-alpha)/alpha))
	}
	return p
}

// CIn implements Wrapper.
func (IDDPMPrecond) CIn(sigma float64) float64 { return 1 / math.Sqrt(sigma*sigma+1) }

// CSkip implements Wrapper.
func (IDDPMPrecond) CSkip(float64) float64 { return 1 }

// COut implements Wrapper.
func (IDDPMPrecond) COut(sigma float64) float64 { return -sigma }

// NoiseArgument is the number by which the network sees sigma: the time whose
// noise level is nearest.
func (p IDDPMPrecond) NoiseArgument(sigma float32) float32 {
	nearest := 0
	for t, s := range p.sigmas {
		if math.Abs(s-float64(sigma)) < math.Abs(p.sigmas[nearest]-float64(sigma)) {
			nearest = t
		}
	}
	return float32(nearest)
}
