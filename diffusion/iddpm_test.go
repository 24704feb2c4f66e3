package diffusion

import "testing"

// The cosine schedule's times are those of EDM's iDDPMPrecond, which runs its own
// recursion; the linear one's are the nearest of guided-diffusion's noise levels.
func TestIDDPMTimes(t *testing.T) {
	for schedule, want := range map[string][5]float32{
		CosineSchedule: {1, 6, 289, 793, 991},
		LinearSchedule: {0, 2, 144, 475, 930},
	} {
		p := NewIDDPMPrecond(schedule, 1000)
		for i, sigma := range []float32{0.01, 0.02, 0.5, 3, 80} {
			if got := p.NoiseArgument(sigma); got != want[i] {
				t.Errorf("%s: %g is at time %g, not %g", schedule, sigma, got, want[i])
			}
		}
	}
	if p := NewIDDPMPrecond(CosineSchedule, 1000); p.CIn(3) != VPPrecond.CIn(VPPrecond{}, 3) || p.COut(3) != -3 || p.CSkip(3) != 1 {
		t.Error("not the arithmetic of networks that predict noise")
	}
}
