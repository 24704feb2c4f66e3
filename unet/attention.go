package unet

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// attention lets all positions of an image attend to each other.
type attention struct {
	norm      *nn.GroupNorm
	qkv, proj *nn.Conv2d
	heads     int
	layout    torch.HeadLayout
}

// newAttention makes a block for images of size×size.
func newAttention(p nn.Path, c Config, size, channels, heads int) *attention {
	p = p.Over(size)
	positions := float64(size * size)
	p.Spend(nn.Work{FLOPs: 4 * positions * positions * float64(channels), Kept: 3 * positions * float64(channels)})
	layout := torch.HeadsFirst
	if c.HeadOrder == Flash {
		layout = torch.PartsFirst
	}
	return &attention{
		norm:   nn.NewGroupNorm(p.At("norm"), channels, c.Groups),
		qkv:    nn.NewConv2d(p.At("qkv"), channels, 3*channels, 1, torch.ConvOptions{}),
		proj:   nn.NewZeroConv2d(p.At("proj_out"), channels, channels, 1),
		heads:  heads,
		layout: layout,
	}
}

func (a *attention) forward(s *torch.Scope, x, _ *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		qkv := a.qkv.Forward(s, a.norm.Forward(s, x, torch.GroupNormOptions{}))
		qkv = s.Reshape(s.Permute(qkv, 0, 2, 3, 1), n, h*w, 3*c)
		y := s.Reshape(s.SelfAttention(qkv, a.heads, a.layout), n, h, w, c)
		return s.Add(x, a.proj.Forward(s, s.Permute(y, 0, 3, 1, 2)))
	})
}
