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
	order     HeadOrder
}

func newAttention(p nn.Path, c Config, channels int) *attention {
	return &attention{
		norm:  nn.NewGroupNorm(p.At("norm"), channels, c.Groups),
		qkv:   nn.NewConv2d(p.At("qkv"), channels, 3*channels, 1, torch.ConvOptions{}),
		proj:  nn.NewZeroConv2d(p.At("proj_out"), channels, channels, 1),
		heads: c.heads(channels),
		order: c.HeadOrder,
	}
}

func (a *attention) forward(s *torch.Scope, x, _ *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	n, c, t, d := shape[0], shape[1], shape[2]*shape[3], shape[1]/a.heads
	qkv := a.qkv.Forward(s, a.norm.Forward(s, x, torch.GroupNormOptions{}))
	qkv = s.Reshape(s.Permute(qkv, 0, 2, 3, 1), n, t, 3*c)
	var parts []*torch.Tensor
	if a.order == Legacy {
		parts = s.Chunk(s.Reshape(qkv, n, t, a.heads, 3*d), 3, 3)
	} else {
		parts = s.Chunk(s.Reshape(qkv, n, t, 3*a.heads, d), 3, 2)
	}
	for i, p := range parts {
		parts[i] = s.Permute(p, 0, 2, 1, 3)
	}
	h := s.Permute(s.Attention(parts[0], parts[1], parts[2]), 0, 2, 1, 3)
	h = s.Permute(s.Reshape(h, n, shape[2], shape[3], c), 0, 3, 1, 2)
	return s.Add(x, a.proj.Forward(s, h))
}
