package network

import (
	"fmt"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/edm"
)

// Form says how a raw network becomes a denoiser of x + sigma·n.
type Form string

// EDM's preconditioning, and the wrappers of the networks that EDM compares itself with.
const (
	EDM Form = "edm"
	VP  Form = "vp" // diffusion.VPPrecond
	VE  Form = "ve" // diffusion.VEPrecond
)

// Preconditioning is a form with its constants, zero where the form has none. The
// zero value stands for Standard.
type Preconditioning struct {
	Form      Form    `json:"form"`
	SigmaData float64 `json:"sigma_data,omitempty"` // EDM: standard deviation of the data
	BetaD     float64 `json:"beta_d,omitempty"`     // VP
	BetaMin   float64 `json:"beta_min,omitempty"`   // VP
	Levels    int     `json:"levels,omitempty"`     // VP
}

// Standard is the preconditioning of all networks that this program trains.
var Standard = Preconditioning{Form: EDM, SigmaData: diffusion.SigmaData}

// wrapper is the form's arithmetic, nil for an unknown form, and the number by
// which EDM's networks see a noise level in it, nil for their own.
func (p Preconditioning) wrapper() (diffusion.Wrapper, func(sigma float32) float32) {
	if p == (Preconditioning{}) {
		p = Standard
	}
	switch p.Form {
	case EDM:
		return diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: p.SigmaData}, nil
	case VP:
		w := diffusion.VPPrecond{BetaD: p.BetaD, BetaMin: p.BetaMin, Levels: p.Levels}
		return w, w.NoiseArgument
	case VE:
		w := diffusion.VEPrecond{}
		return w, w.NoiseArgument
	}
	return nil, nil
}

// prepare makes a network see noise levels as the form wants it to.
func (p Preconditioning) prepare(net diffusion.Network) (diffusion.Network, error) {
	w, argument := p.wrapper()
	e, ok := net.(edm.Network)
	switch {
	case w == nil:
		return nil, fmt.Errorf("a network of preconditioning %q: this program has %q, %q and %q", p.Form, EDM, VP, VE)
	case argument == nil:
		return net, nil
	case !ok:
		return nil, fmt.Errorf("an ADM network of preconditioning %q: only EDM's networks have it", p.Form)
	}
	e.Argument = argument
	return e, nil
}
