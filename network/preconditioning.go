package network

import (
	"fmt"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/unet"
)

// Form says how a raw network becomes a denoiser of x + sigma·n.
type Form string

// EDM's preconditioning, and the wrappers of the networks that EDM compares itself with.
const (
	EDM   Form = "edm"
	VP    Form = "vp"    // diffusion.VPPrecond
	VE    Form = "ve"    // diffusion.VEPrecond
	IDDPM Form = "iddpm" // diffusion.IDDPMPrecond
)

// Preconditioning is a form with its constants, zero where the form has none. The
// zero value stands for Standard.
type Preconditioning struct {
	Form      Form    `json:"form"`
	SigmaData float64 `json:"sigma_data,omitempty"` // EDM: standard deviation of the data
	BetaD     float64 `json:"beta_d,omitempty"`     // VP
	BetaMin   float64 `json:"beta_min,omitempty"`   // VP
	Levels    int     `json:"levels,omitempty"`     // VP and iDDPM: how many times there are
	Schedule  string  `json:"schedule,omitempty"`   // iDDPM: diffusion.LinearSchedule or CosineSchedule
}

// Standard is the preconditioning of all networks that this program trains.
var Standard = Preconditioning{Form: EDM, SigmaData: diffusion.SigmaData}

// wrapper is the form's arithmetic, and the number by which networks see a noise
// level in it, nil for their own.
func (p Preconditioning) wrapper() (diffusion.Wrapper, func(sigma float32) float32, error) {
	if p == (Preconditioning{}) {
		p = Standard
	}
	switch {
	case p.Form == EDM:
		return diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: p.SigmaData}, nil, nil
	case p.Form == VP:
		w := diffusion.VPPrecond{BetaD: p.BetaD, BetaMin: p.BetaMin, Levels: p.Levels}
		return w, w.NoiseArgument, nil
	case p.Form == VE:
		w := diffusion.VEPrecond{}
		return w, w.NoiseArgument, nil
	case p.Form != IDDPM:
		return nil, nil, fmt.Errorf("a network of preconditioning %q: this program has %q, %q, %q and %q", p.Form, EDM, VP, VE, IDDPM)
	case p.Schedule != diffusion.LinearSchedule && p.Schedule != diffusion.CosineSchedule:
		return nil, nil, fmt.Errorf("a noise schedule %q: this program has %q and %q", p.Schedule, diffusion.LinearSchedule, diffusion.CosineSchedule)
	case p.Levels < 2 || p.Levels > 1<<16:
		return nil, nil, fmt.Errorf("a noise schedule of %d times: there must be 2 to %d", p.Levels, 1<<16)
	}
	w := diffusion.NewIDDPMPrecond(p.Schedule, p.Levels)
	return w, w.NoiseArgument, nil
}

// seeing makes a network see noise levels as the form wants it to.
func seeing(net diffusion.Network, argument func(sigma float32) float32) diffusion.Network {
	switch n := net.(type) {
	case *unet.UNet:
		n.Argument = argument
	case edm.Network:
		n.Argument = argument
		return n
	}
	return net
}
