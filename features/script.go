package features

import (
	"fmt"

	"github.com/pagoda-go/pagoda/torch"
)

// Script is a feature network in a TorchScript file: a module that turns images
// (N,3,H,W), float32 in [-1,1], into feature maps (N,C,h,w), a tuple or list of
// them, finest first, each half the size of the one before it. It is a [Network].
type Script struct {
	module          *torch.Script
	channels, sides []int
}

// LoadScript opens a module on the device of s, and tries it on an image of 224
// pixels. It must be closed. Nothing in it is trained.
func LoadScript(s *torch.Scope, path string) (n *Script, err error) {
	module, err := torch.LoadScript(path, s.Device())
	if err != nil {
		return nil, err
	}
	n = &Script{module: module}
	if err := n.probe(s); err != nil {
		module.Close()
		return nil, fmt.Errorf("the feature network %s: %w", path, err)
	}
	return n, nil
}

func (n *Script) probe(s *torch.Scope) (err error) {
	defer torch.Recover(&err)
	off := s.NoGrad()
	defer off.Close()
	maps := n.Maps(off, off.Zeros(1, 3, 224, 224))
	for i, m := range maps {
		shape := m.Shape()
		if len(shape) != 4 || i > 0 && 2*shape[3] != maps[i-1].Dim(3) {
			return fmt.Errorf("map %d of an image of 224 pixels has the shape %v; it must be (N,C,H,W), half the size of the map before it", i, shape)
		}
		n.channels, n.sides = append(n.channels, shape[1]), append(n.sides, shape[3])
	}
	return nil
}

// Channels are the widths of the maps.
func (n *Script) Channels() []int { return n.channels }

// Sides are the sizes of the maps of an image of 224 pixels.
func (n *Script) Sides() []int { return n.sides }

// Maps runs the module; gradients pass through it.
func (n *Script) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	return n.module.Forward(s, s.To(x, torch.Float32), nil)
}

// Close frees the module.
func (n *Script) Close() { n.module.Close() }
