package diffusion

import (
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Level is the noise level at the fraction u of the way from high to low, evenly
// spaced in sigma^(1/rho) (EDM equation 5; sony/pagoda get_t).
func Level(u, low, high, rho float64) float64 {
	a, b := math.Pow(high, 1/rho), math.Pow(low, 1/rho)
	return math.Pow(a+u*(b-a), rho)
}

// Schedule returns n noise levels from high to low with curvature Rho.
func Schedule(n int, low, high float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = Level(float64(i)/float64(max(n-1, 1)), low, high, Rho)
	}
	return out
}

// Sampling is the path of the ODE from noise to data in n steps: the schedule, then 0.
func Sampling(n int) []float64 { return append(Schedule(n, SigmaMin, SigmaMax), 0) }

// Inversion is the path from data to noise: n noise levels from start up to SigmaMax.
func Inversion(n int, start float64) []float64 {
	out := Schedule(n, start, SigmaMax)
	for i, j := 0, n-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Heun solves EDM's probability-flow ODE along the path of noise levels, in
// whichever direction it leads, by Heun's method; see [Solver.Solve].
func Heun(s *torch.Scope, d Denoiser, x *torch.Tensor, path []float64, step func() error) (*torch.Tensor, error) {
	return Solver{Process: VE{}, Step: step}.Solve(s, d, x, path)
}
