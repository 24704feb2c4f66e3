package diffusion

import (
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Schedule returns n noise levels from high to low, evenly spaced in
// sigma^(1/Rho) (EDM equation 5).
func Schedule(n int, low, high float64) []float64 {
	a, b := math.Pow(high, 1/Rho), math.Pow(low, 1/Rho)
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Pow(a+float64(i)/float64(max(n-1, 1))*(b-a), Rho)
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

// slope is dx/dsigma of the probability-flow ODE.
func slope(s *torch.Scope, d Denoiser, x *torch.Tensor, sigma float64) *torch.Tensor {
	return s.Scale(s.Sub(x, d(s, x, Repeat(sigma, x.Dim(0)))), 1/sigma)
}

// Heun solves the probability-flow ODE along the path of noise levels, in
// whichever direction it leads, by Heun's method; a step that ends at 0 is
// Euler's (EDM algorithm 1; sony/pagoda sample_heun). x is (N,C,H,W) at path[0];
// the result, at the path's end, belongs to s. After every step, step is called
// when it is not nil; the solution stops when it returns an error.
func Heun(s *torch.Scope, d Denoiser, x *torch.Tensor, path []float64, step func() error) (*torch.Tensor, error) {
	state := s.NoGrad() // owns the current x
	defer func() { state.Close() }()
	for i, sigma := range path[:len(path)-1] {
		next := path[i+1]
		after := s.NoGrad()
		w := after.Child()
		k := slope(w, d, x, sigma)
		y := w.Add(x, w.Scale(k, next-sigma))
		if next != 0 {
			k = w.Add(k, slope(w, d, y, next))
			y = w.Add(x, w.Scale(k, (next-sigma)/2))
		}
		x = w.Keep(y)
		w.Close()
		state.Close()
		state = after
		if step != nil {
			if err := step(); err != nil {
				return nil, err
			}
		}
	}
	if len(path) > 1 {
		state.MoveTo(s, x)
	}
	return x, nil
}

// Euler is Heun's first-order sibling: one network evaluation a step.
func Euler(s *torch.Scope, d Denoiser, x *torch.Tensor, path []float64) *torch.Tensor {
	for i, sigma := range path[:len(path)-1] {
		w := s.NoGrad()
		x = w.Keep(w.Add(x, w.Scale(slope(w, d, x, sigma), path[i+1]-sigma)))
		w.Close()
	}
	return x
}
