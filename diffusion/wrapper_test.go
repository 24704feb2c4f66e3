package diffusion

import (
	"math"
	"testing"
)

// Numbers of NVlabs/edm training/networks.py, run with a network that answers 1:
// c_in, c_out and the network's noise argument. c_skip is 1.
func TestWrappers(t *testing.T) {
	vp, ve := VPPrecond{BetaD: 19.9, BetaMin: 0.1, Levels: 1000}, VEPrecond{}
	for _, c := range []struct {
		wrapper        Wrapper
		argument       func(float32) float32
		sigma          float32
		in, out, noise float64
	}{
		{vp, vp.NoiseArgument, 0.002, 0.999997973, -0.002, 0.0403282978},
		{vp, vp.NoiseArgument, 0.02, 0.999800146, -0.02, 3.0612812},
		{vp, vp.NoiseArgument, 0.5, 0.89442718, -0.5, 144.669113},
		{vp, vp.NoiseArgument, 3, 0.316227764, -3, 475.581757},
		{vp, vp.NoiseArgument, 80, 0.0124990242, -80, 932.577637},
		{ve, ve.NoiseArgument, 0.02, 1, 0.02, -4.60517025},
		{ve, ve.NoiseArgument, 3, 1, 3, 0.405465096},
		{ve, ve.NoiseArgument, 80, 1, 80, 3.68887949},
	} {
		sigma := float64(c.sigma)
		for _, pair := range [][2]float64{
			{c.wrapper.CIn(sigma), c.in}, {c.wrapper.COut(sigma), c.out}, {c.wrapper.CSkip(sigma), 1}, {float64(c.argument(c.sigma)), c.noise},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-6*math.Abs(pair[1]) {
				t.Errorf("%T at %g: %.9g, the reference has %.9g", c.wrapper, c.sigma, pair[0], pair[1])
			}
		}
	}
}
