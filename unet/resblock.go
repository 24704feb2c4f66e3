package unet

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// scaling is what a block does to the resolution.
type scaling int

const (
	same scaling = iota
	up
	down
)

// size is the size of images of the given size after scaling.
func (k scaling) size(size int) int {
	switch k {
	case up:
		return 2 * size
	case down:
		return size / 2
	}
	return size
}

func (k scaling) apply(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	switch k {
	case up:
		shape := x.Shape()
		return s.Resize(x, 2*shape[2], 2*shape[3], torch.Nearest)
	case down:
		return s.AvgPool2d(x, 2, 2, 0)
	}
	return x
}

// resBlock is the residual block of ADM (Dhariwal & Nichol 2021): norm, SiLU,
// convolution, twice, the embedding entering in between.
type resBlock struct {
	norm1, norm2 *nn.GroupNorm
	conv1, conv2 *nn.Conv2d
	emb          *nn.Linear
	skip         *nn.Conv2d // nil: identity
	film         bool
	scaling      scaling
	dropout      float64
}

// newResBlock makes a block that starts from images of size×size.
func newResBlock(p nn.Path, c Config, size, in, out int, film bool, k scaling) *resBlock {
	before, after := p.Over(size), p.Over(k.size(size))
	b := &resBlock{
		norm1:   nn.NewGroupNorm(before.At("in_layers", 0), in, c.Groups),
		conv1:   nn.NewConv2d(after.At("in_layers", 2), in, out, 3, torch.ConvOptions{}),
		film:    film,
		scaling: k,
		dropout: c.Dropout,
	}
	width := out
	if film {
		width = 2 * out
	}
	b.emb = nn.NewLinear(p.At("emb_layers", 1), c.EmbedChannels(), width)
	b.norm2 = nn.NewGroupNorm(after.At("out_layers", 0), out, c.Groups)
	b.conv2 = nn.NewZeroConv2d(after.At("out_layers", 3), out, out, 3)
	if in != out {
		b.skip = nn.NewConv2d(before.At("skip_connection"), in, out, 1, torch.ConvOptions{})
		p.Spend(nn.Work{Kept: -float64(in * size * size)}) // it shares its input with norm1
	}
	if k == down {
		p.Spend(nn.Work{Kept: float64(in * size * size)}) // pooling keeps its input
	}
	return b
}

// forward takes SiLU of the embedding, which all blocks share.
func (b *resBlock) forward(s *torch.Scope, x, emb *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor { return b.branches(s, x, emb) })
}

func (b *resBlock) branches(s *torch.Scope, x, emb *torch.Tensor) *torch.Tensor {
	h := b.norm1.Forward(s, x, torch.GroupNormOptions{SiLU: true})
	h = b.conv1.Forward(s, b.scaling.apply(s, h))
	if b.skip != nil { // a 1×1 convolution and nearest resampling commute: the cheaper order
		x = b.skip.Forward(s, x)
	}
	x = b.scaling.apply(s, x)
	e := b.emb.Forward(s, emb)
	h = s.Dropout(b.norm2.Conditioned(s, h, e, b.film), b.dropout)
	return s.Add(x, b.conv2.Forward(s, h))
}

// resample is the plain upsampling or downsampling layer, as a rule with a convolution.
type resample struct {
	conv    *nn.Conv2d // nil: none
	scaling scaling
}

func newResample(p nn.Path, c Config, size, channels, out int, k scaling) *resample {
	p = p.Over(k.size(size))
	switch {
	case c.BareResample:
		return &resample{nil, k}
	case k == down:
		return &resample{nn.NewConv2d(p.At("op"), channels, out, 3, torch.ConvOptions{Stride: 2}), same}
	}
	return &resample{nn.NewConv2d(p.At("conv"), channels, out, 3, torch.ConvOptions{}), k}
}

func (r *resample) forward(s *torch.Scope, x, _ *torch.Tensor) *torch.Tensor {
	x = r.scaling.apply(s, x)
	if r.conv == nil {
		return x
	}
	return r.conv.Forward(s, x)
}
