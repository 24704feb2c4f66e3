package edm

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// blockOptions are what the architectures' residual blocks differ in.
type blockOptions struct {
	convOptions
	embed     int     // channels of the embedding
	heads     int     // of the attention; 0: none
	project   bool    // a resampling skip connection has a 1×1 convolution even if the width stays
	film      bool    // the embedding scales and shifts; else it is added
	skipScale float64 // multiplies every sum of a branch and its skip connection
	eps       float64 // of the normalisations
	dropout   float64
}

// unetBlock is a residual block, optionally resampling and with attention after
// it (UNetBlock in the reference).
type unetBlock struct {
	blockOptions
	norm0, norm1, norm2 *nn.GroupNorm
	conv0, skip         *conv2d // skip nil: identity
	affine              *nn.Linear
	conv1, qkv, proj    *nn.Conv2d
	params              []*torch.Tensor
}

// newUNetBlock makes a block that ends in images of the path's size.
func newUNetBlock(p nn.Path, in, out int, o blockOptions) *unetBlock {
	width := out
	if o.film {
		width = 2 * out
	}
	before := p.Over(o.resampling.from(p.Size()))
	b := &unetBlock{
		blockOptions: o,
		norm0:        newGroupNorm(before.At("norm0"), in, o.eps),
		conv0:        newConv2d(p.At("conv0"), in, out, 3, o.convOptions),
		affine:       nn.NewLinear(p.At("affine").Over(1), o.embed, width),
		norm1:        newGroupNorm(p.At("norm1"), out, o.eps),
		conv1:        nn.NewZeroConv2d(p.At("conv1"), out, out, 3),
	}
	if in != out || o.resampling != same {
		kernel := 0
		if in != out || o.project {
			kernel = 1
		}
		b.skip = newConv2d(p.At("skip"), in, out, kernel, o.convOptions)
	}
	switch start := float64(in * before.Size() * before.Size()); {
	case o.resampling == down:
		p.Spend(nn.Work{Kept: start}) // pooling keeps its input
	case o.resampling == same && in != out:
		p.Spend(nn.Work{Kept: -start}) // the skip connection shares its input with norm0
	}
	if o.heads > 0 {
		b.norm2 = newGroupNorm(p.At("norm2"), out, o.eps)
		b.qkv = nn.NewConv2d(p.At("qkv"), out, 3*out, 1, torch.ConvOptions{})
		b.proj = nn.NewZeroConv2d(p.At("proj"), out, out, 1)
		positions := float64(p.Size() * p.Size())
		p.Spend(nn.Work{FLOPs: 4 * positions * positions * float64(out), Kept: 3 * positions * float64(out)})
	}
	b.params = p.Tensors()
	return b
}

// forward joins x, one or two (N,In,H,W), and maps them with the embedding
// (N,Embed) to (N,Out,H,W), H and W doubled or halved as the block resamples. If
// asked, it keeps no activations and computes them again for the gradients.
func (b *unetBlock) forward(s *torch.Scope, recompute bool, emb *torch.Tensor, x ...*torch.Tensor) *torch.Tensor {
	run := func(s *torch.Scope, in []*torch.Tensor) *torch.Tensor {
		return s.Local(func(s *torch.Scope) *torch.Tensor {
			h := in[1]
			if len(in) > 2 {
				h = s.Cat(1, in[1:]...)
			}
			h = b.convolve(s, h, in[0])
			if b.heads > 0 {
				h = b.join(s, h, b.attend(s, h))
			}
			return h
		})
	}
	in := append([]*torch.Tensor{emb}, x...)
	if recompute {
		return s.Checkpoint(in, b.params, run)
	}
	return run(s, in)
}

// convolve is the block without attention.
func (b *unetBlock) convolve(s *torch.Scope, x, emb *torch.Tensor) *torch.Tensor {
	h := b.norm0.Forward(s, x, torch.GroupNormOptions{SiLU: true})
	h = b.conv0.forward(s, h)
	e := b.affine.Forward(s, emb)
	h = b.conv1.Forward(s, s.Dropout(b.norm1.Conditioned(s, h, e, b.film), b.dropout))
	if b.skip != nil {
		x = b.skip.forward(s, x)
	}
	return b.join(s, x, h)
}

func (b *unetBlock) join(s *torch.Scope, x, branch *torch.Tensor) *torch.Tensor {
	x = s.Add(x, branch)
	if b.skipScale != 1 {
		x = s.Scale(x, b.skipScale)
	}
	return x
}

// attend is the branch that lets all positions of an image attend to each other.
func (b *unetBlock) attend(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	shape := x.Shape()
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	qkv := b.qkv.Forward(s, b.norm2.Forward(s, x, torch.GroupNormOptions{}))
	qkv = s.Reshape(s.Permute(qkv, 0, 2, 3, 1), n, h*w, 3*c)
	y := s.Reshape(s.SelfAttention(qkv, b.heads, torch.PartsLast), n, h, w, c)
	return b.proj.Forward(s, s.Permute(y, 0, 3, 1, 2))
}
