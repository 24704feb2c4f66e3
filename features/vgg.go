package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// VGG16 are the 13 convolutions of VGG-16 (Simonyan & Zisserman 2015) in five
// groups, under torchvision's names. It is a [Network]: a map is what leaves a
// group, after ReLU, half the size of the one before it.
type VGG16 struct {
	groups  [5][]*nn.Conv2d
	average bool
}

// VGG16Options are the choices in making a [VGG16].
type VGG16Options struct {
	AveragePooling bool // pool between the groups by average in place of the maximum
}

// LoadVGG16 makes the network in s from torchvision's weights, in the compute dtype of s.
func LoadVGG16(s *torch.Scope, w Weights, o VGG16Options) (v *VGG16, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	v = newVGG16(params.Root(), o)
	if err := load(params, w, "classifier."); err != nil {
		return nil, err
	}
	for _, group := range v.groups {
		for _, c := range group {
			c.Weight, c.Bias = s.To(c.Weight, s.Compute()), s.To(c.Bias, s.Compute())
		}
	}
	return v, nil
}

// vggWidths are the channels of the groups' maps, vggDepths their numbers of convolutions.
var vggWidths, vggDepths = [5]int{64, 128, 256, 512, 512}, [5]int{2, 2, 3, 3, 3}

func newVGG16(p nn.Path, o VGG16Options) *VGG16 {
	v := &VGG16{average: o.AveragePooling}
	in, index := 3, 0
	for i, out := range vggWidths {
		for range vggDepths[i] {
			v.groups[i] = append(v.groups[i], nn.NewConv2d(p.At("features", index), in, out, 3, torch.ConvOptions{}))
			in = out
			index += 2 // ReLU counts
		}
		index++ // and so does pooling
	}
	return v
}

// Channels are 64, 128, 256, 512 and 512.
func (v *VGG16) Channels() []int { return vggWidths[:] }

// Maps turns images (N,3,H,W) in [-1,1], of 16 pixels a side at least, into five
// maps of sizes 1, 1/2, 1/4, 1/8 and 1/16, rounded down.
func (v *VGG16) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	x = s.ChannelsLast(imageNet(s, x))
	var maps []*torch.Tensor
	for i, group := range v.groups {
		x = s.Local(func(s *torch.Scope) *torch.Tensor {
			h := x
			switch {
			case i > 0 && v.average:
				h = s.AvgPool2d(h, 2, 2, 0)
			case i > 0:
				h = s.MaxPool2d(h, 2, 2, 0)
			}
			for _, c := range group {
				h = s.ReLU(c.Forward(s, h))
			}
			return h
		})
		maps = append(maps, x)
	}
	return maps
}
