package diffusion

import (
	"errors"
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Churn is the noise that EDM's stochastic sampler adds before every step and
// removes in it (EDM algorithm 2). The zero value adds none.
type Churn struct {
	Amount    float64 // S_churn: in all steps together
	Low, High float64 // S_tmin, S_tmax: noise levels from which noise is added; no upper bound where High is 0
	Noise     float64 // S_noise: standard deviation of the added noise, about 1
	// Normal returns noise of unit variance, shaped like the images, for step i of
	// the path. It is needed where Amount is not 0.
	Normal func(s *torch.Scope, i int) *torch.Tensor
}

// raise is the noise level from which step i of n starts at sigma.
func (c Churn) raise(sigma float64, n int) float64 {
	if sigma < c.Low || (c.High > 0 && sigma > c.High) {
		return sigma
	}
	return sigma * (1 + min(c.Amount/float64(n), math.Sqrt2-1))
}

// Solver solves the probability-flow ODE of a process by Heun's method.
type Solver struct {
	Process Process
	Euler   bool         // first order instead of second: one network evaluation a step
	Churn   Churn        // VE alone
	Step    func() error // called after every step when not nil; an error stops the solution
}

// Solve goes along the path of times, in whichever direction it leads; a step
// that ends at 0 is Euler's (EDM algorithms 1 and 2; sony/pagoda sample_heun,
// sample_euler). x is (N,C,H,W) at path[0]; the result, at the path's end,
// belongs to s; a path without a step leaves x as it is. Errors are Step's, and
// churn with another process than VE or without noise.
func (v Solver) Solve(s *torch.Scope, d Denoiser, x *torch.Tensor, path []float64) (*torch.Tensor, error) {
	if _, ok := v.Process.(VE); !ok && v.Churn.Amount > 0 {
		return nil, errors.New("churn is defined for the variance-exploding process alone")
	}
	if v.Churn.Amount > 0 && v.Churn.Normal == nil {
		return nil, errors.New("churn needs noise: Churn.Normal is nil")
	}
	steps := len(path) - 1
	if steps < 1 {
		return x, nil
	}
	state := s.NoGrad() // owns the current x
	defer func() { state.Close() }()
	for i, t := range path[:steps] {
		next := path[i+1]
		after := s.NoGrad()
		w := after.Child()
		if raised := v.Churn.raise(t, steps); raised > t {
			std := v.Churn.Noise * math.Sqrt(raised*raised-t*t)
			x, t = w.Add(x, w.Scale(v.Churn.Normal(w, i), std)), raised
		}
		k := v.slope(w, d, x, t)
		y := w.Add(x, w.Scale(k, next-t))
		if next != 0 && !v.Euler {
			k = w.Add(k, v.slope(w, d, y, next))
			y = w.Add(x, w.Scale(k, (next-t)/2))
		}
		x = w.Keep(y)
		w.Close()
		state.Close()
		state = after
		if v.Step != nil {
			if err := v.Step(); err != nil {
				return nil, err
			}
		}
	}
	state.MoveTo(s, x)
	return x, nil
}

// slope is dx/dt = beta'/beta·(x - alpha·D) + alpha'·D; for VE (x-D)/sigma (sony/pagoda to_d).
func (v Solver) slope(s *torch.Scope, d Denoiser, x *torch.Tensor, t float64) *torch.Tensor {
	alpha, beta := v.Process.At(t)
	dalpha, dbeta := v.Process.Slope(t)
	denoised := d(s, x, Repeat(t, x.Dim(0)))
	k := s.Scale(s.Sub(x, s.Scale(denoised, alpha)), dbeta/beta)
	return s.Add(k, s.Scale(denoised, dalpha))
}
