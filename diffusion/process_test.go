package diffusion_test

import (
	"math"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

var processes = []diffusion.Process{diffusion.VE{}, diffusion.VP{BetaMin: 0.1, BetaMax: 20}, diffusion.RectifiedFlow{}}

func TestSlopeIsTheDerivative(t *testing.T) {
	const h = 1e-6
	for _, p := range processes {
		for _, at := range []float64{0.01, 0.3, 0.9} {
			a1, b1 := p.At(at - h)
			a2, b2 := p.At(at + h)
			da, db := p.Slope(at)
			if math.Abs((a2-a1)/(2*h)-da) > 1e-6 || math.Abs((b2-b1)/(2*h)-db) > 1e-6 {
				t.Errorf("%T at %g: slope %g, %g, differences %g, %g", p, at, da, db, (a2-a1)/(2*h), (b2-b1)/(2*h))
			}
		}
	}
}

// For normally distributed data the denoiser is known and the ODE's solution too:
// x_t grows like its standard deviation.
func TestSolverIsExactForNormalData(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	for _, process := range processes {
		p := diffusion.Preconditioning{Process: process, SigmaData: 0.5}
		denoise := func(s *torch.Scope, x *torch.Tensor, t []float32) *torch.Tensor {
			return s.Scale(x, p.CSkip(float64(t[0]))) // the preconditioned network with F = 0
		}
		start := 1.
		if process == (diffusion.VE{}) {
			start = diffusion.SigmaMax
		}
		path := diffusion.Schedule(60, 1e-3, start)
		low, high := path[len(path)-1], path[0]
		want := p.CIn(high) / p.CIn(low)
		x := s.Full(1, 1, 1, 2, 2)
		off := func(v diffusion.Solver, path []float64, want float64) float64 {
			y, err := v.Solve(s, denoise, x, path)
			if err != nil {
				t.Fatal(err)
			}
			return math.Abs(y.Float64s()[0]/want - 1)
		}
		up := slices.Clone(path)
		slices.Reverse(up)
		heun, euler := diffusion.Solver{Process: process}, diffusion.Solver{Process: process, Euler: true}
		down, reverse, first := off(heun, path, want), off(heun, up, 1/want), off(euler, path, want)
		if down > 1e-2 || reverse > 1e-2 || first < down {
			t.Errorf("%T: off by %.2g from noise to data, %.2g back, %.2g by Euler", process, down, reverse, first)
		}
	}
}

func TestChurnIsRefusedWhereItMakesNoSense(t *testing.T) {
	none := func(*torch.Scope, int) *torch.Tensor { return nil }
	for name, v := range map[string]diffusion.Solver{
		"rectified flow": {Process: diffusion.RectifiedFlow{}, Churn: diffusion.Churn{Amount: 1, Normal: none}},
		"no noise":       {Process: diffusion.VE{}, Churn: diffusion.Churn{Amount: 1}},
	} {
		if _, err := v.Solve(nil, nil, nil, []float64{1, 0}); err == nil {
			t.Errorf("%s: churn is accepted", name)
		}
	}
}

// Without an upper bound noise is added at every level, and a path without a step changes nothing.
func TestChurnWithoutBounds(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	x, asked := s.Full(1, 1, 1, 2, 2), 0
	v := diffusion.Solver{Process: diffusion.VE{}, Churn: diffusion.Churn{Amount: 1, Noise: 1, Normal: func(s *torch.Scope, _ int) *torch.Tensor {
		asked++
		return s.Zeros(1, 1, 2, 2)
	}}}
	clean := func(s *torch.Scope, x *torch.Tensor, _ []float32) *torch.Tensor { return s.Scale(x, 0) }
	if _, err := v.Solve(s, clean, x, []float64{80, 1, 0}); err != nil || asked != 2 {
		t.Errorf("noise was added in %d of 2 steps (%v)", asked, err)
	}
	for _, path := range [][]float64{nil, {80}} {
		if y, err := v.Solve(s, clean, x, path); err != nil || y != x {
			t.Errorf("path %v: %v, %v", path, y, err)
		}
	}
}
