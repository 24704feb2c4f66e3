// Package network is what the program's networks have in common: one
// description of an architecture, whichever package builds it, and weights files
// that say which network they hold.
package network

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// Config is the architecture of a network: one of the two is set.
type Config struct {
	ADM *unet.Config // guided-diffusion's U-Net, its decoder grown or not
	EDM *edm.Config  // one of EDM's
}

// The values of "kind" in a description; without it a network is ADM's.
const (
	kindADM = "adm"
	kindEDM = "edm"
)

// MarshalJSON writes the architecture's own fields beside its kind.
func (c Config) MarshalJSON() ([]byte, error) {
	if c.EDM != nil {
		return json.Marshal(struct {
			Kind string `json:"kind"`
			*edm.Config
		}{kindEDM, c.EDM})
	}
	return json.Marshal(struct {
		Kind string `json:"kind"`
		*unet.Config
	}{kindADM, c.ADM})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Config) UnmarshalJSON(text []byte) error {
	kind := struct{ Kind string }{kindADM}
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	*c = Config{}
	switch kind.Kind {
	case kindADM:
		return json.Unmarshal(text, &c.ADM)
	case kindEDM:
		return json.Unmarshal(text, &c.EDM)
	}
	return fmt.Errorf("a network of kind %q: this program has %q and %q", kind.Kind, kindADM, kindEDM)
}

// New makes the network at path p: a *unet.UNet, or an edm.Network.
func New(p nn.Path, c Config) (diffusion.Network, error) {
	switch {
	case c.ADM != nil && c.ADM.Outputs() != c.ADM.Channels:
		return nil, fmt.Errorf("a network from %d image channels to %d: a denoiser has as many out as in, learned variances left out", c.ADM.Channels, c.ADM.Outputs())
	case c.ADM != nil:
		return unet.New(p, *c.ADM)
	case c.EDM != nil:
		u, err := edm.New(p, *c.EDM)
		return edm.Network{UNet: u}, err
	}
	return nil, errors.New("the description names no network")
}

// Recompute makes a network compute its blocks' activations again for gradients
// instead of keeping them, or stops that.
func Recompute(net diffusion.Network, on bool) {
	switch n := net.(type) {
	case *unet.UNet:
		n.Recompute = on
	case edm.Network:
		n.Recompute = on
	}
}

// Shapes are the network's parameters without tensors. Errors are those of an
// impossible architecture.
func (c Config) Shapes() (*nn.Params, error) {
	params := nn.NewShapes()
	_, err := New(params.Root(), c)
	return params, err
}

// Validate says what is wrong with the architecture.
func (c Config) Validate() error {
	_, err := c.Shapes()
	return err
}

// Parameters is the number of the network's parameters, 0 for an impossible one.
func (c Config) Parameters() int {
	params, err := c.Shapes()
	if err != nil {
		return 0
	}
	return params.Count()
}

// Name is what people call the network.
func (c Config) Name() string {
	switch e := c.EDM; {
	case e == nil:
		return "ADM U-Net"
	case e.Architecture == edm.DhariwalUNet:
		return "ADM U-Net of EDM"
	case e.ResidualEncoder:
		return "NCSN++"
	}
	return "DDPM++"
}

// InputSize is the resolution of the network's input.
func (c Config) InputSize() int {
	if c.EDM != nil {
		return c.EDM.Resolution
	}
	return c.ADM.InputSize
}

// OutputSize is the resolution of the network's output.
func (c Config) OutputSize() int {
	if c.EDM != nil {
		return c.EDM.Resolution
	}
	return c.ADM.OutputSize()
}

// Channels of an image, in and out.
func (c Config) Channels() int {
	if c.EDM != nil {
		return c.EDM.Channels
	}
	return c.ADM.Channels
}

// Classes is the number of classes; zero for an unconditional network.
func (c Config) Classes() int {
	if c.EDM != nil {
		return c.EDM.LabelDim
	}
	return c.ADM.Classes
}

// WithClasses is the same architecture for another number of classes.
func (c Config) WithClasses(n int) Config {
	if c.EDM != nil {
		e := *c.EDM
		e.LabelDim = n
		return Config{EDM: &e}
	}
	a := *c.ADM
	a.Classes = n
	return Config{ADM: &a}
}

// Labels are what the network wants to be told of images of the given classes:
// nothing if it is unconditional.
func (c Config) Labels(classes []int64) []int64 {
	if c.Classes() == 0 {
		return nil
	}
	return classes
}
