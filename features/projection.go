package features

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Projection is the fixed random mixing of feature maps of Projected GANs
// (Sauer et al. 2021; sony/pagoda pg_modules/projector.py): 1×1 convolutions
// mix the channels of every map, then maps are merged from the coarsest to the
// finest. Its weights are buffers: saved with the run, never trained.
type Projection struct {
	channels []*nn.Conv2d
	scales   []*fusion
	widths   []int
}

// NewProjection makes the mixing of maps with the given channels, finest first.
// Mixed channels are width, or width·2^i for map i when expand is set; then the
// merging halves them again, but for the finest.
func NewProjection(p nn.Path, channels []int, width int, expand bool) *Projection {
	m := &Projection{}
	for i, in := range channels {
		mixed, out := width, width
		if expand {
			mixed = width << i
			out = max(width, mixed/2)
		}
		m.widths = append(m.widths, out)
		m.channels = append(m.channels, newFixed(p.At(fmt.Sprintf("layer%d_ccm", i)), in, mixed, 1, torch.ConvOptions{}))
		m.scales = append(m.scales, newFusion(p.At(fmt.Sprintf("layer%d_csm", i)), mixed, out))
	}
	return m
}

// Channels are the widths of Mix's maps.
func (m *Projection) Channels() []int { return m.widths }

// Mix turns maps (N,C,H,W), each half the size of the one before it, into mixed maps of twice the size.
func (m *Projection) Mix(s *torch.Scope, maps []*torch.Tensor) []*torch.Tensor {
	out := m.MixChannels(s, maps)
	var coarser *torch.Tensor
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = m.scales[i].forward(s, out[i], coarser)
		coarser = out[i]
	}
	return out
}

// MixChannels is the first half of Mix, map by map (proj_type 1 of the reference).
func (m *Projection) MixChannels(s *torch.Scope, maps []*torch.Tensor) []*torch.Tensor {
	out := make([]*torch.Tensor, len(maps))
	for i, x := range maps {
		out[i] = m.channels[i].Forward(s, x)
	}
	return out
}

// fusion is FeatureFusionBlock of pg_modules/blocks.py: the sum of its inputs,
// enlarged, through a 1×1 convolution. Both are linear and commute, so the
// convolution comes first: a quarter of the work.
type fusion struct{ conv *nn.Conv2d }

func newFusion(p nn.Path, in, out int) *fusion {
	return &fusion{newFixed(p.At("out_conv"), in, out, 1, torch.ConvOptions{})}
}

// forward maps x and y (N,C,H,W), y nil for none, to (N,Out,2H,2W).
func (f *fusion) forward(s *torch.Scope, x, y *torch.Tensor) *torch.Tensor {
	if y != nil {
		x = s.Add(x, y)
	}
	shape := x.Shape()
	return s.ResizeAligned(f.conv.Forward(s, x), 2*shape[2], 2*shape[3], torch.Bilinear)
}

// newFixed is a convolution that is not trained, with normal weights of the variance of PyTorch's initialisation, 1/(3·fan in).
func newFixed(p nn.Path, in, out, kernel int, o torch.ConvOptions) *nn.Conv2d {
	std := 1 / math.Sqrt(float64(3*in*kernel*kernel))
	return &nn.Conv2d{
		Weight:  p.NormalBuffer("weight", std, out, in, kernel, kernel),
		Bias:    p.NormalBuffer("bias", std, out),
		Options: o,
	}
}
