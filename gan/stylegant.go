package gan

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// TextHeadConfig is the architecture of StyleGAN-T's heads. The names in brackets are the reference's.
type TextHeadConfig struct {
	Condition int // size of the condition's vectors (c_dim), such as a text's; zero: unconditional
	MapDim    int // of the projection onto the condition (cmap_dim); 64 when zero
}

// TextDiscriminator is StyleGAN-T's (Sauer et al. 2023,
// networks/discriminator.py): a [TextHead] on every map of a vision transformer,
// conditioned by vectors in place of classes.
type TextDiscriminator struct{ heads []*TextHead }

// NewTextDiscriminator makes a head for each map with the given channels.
func NewTextDiscriminator(p nn.Path, channels []int, c TextHeadConfig) *TextDiscriminator {
	d := &TextDiscriminator{}
	for i, n := range channels {
		d.heads = append(d.heads, NewTextHead(p.At(i), n, c))
	}
	return d
}

// Logits maps feature maps (N,C,H,W) and conditions (N,Condition; nil when
// unconditional) to the scores (N,L), float32, of all positions of all maps. Train
// makes one power iteration of every spectral norm. N must be divisible by ⌈N/8⌉.
func (d *TextDiscriminator) Logits(s *torch.Scope, maps []*torch.Tensor, condition *torch.Tensor, train bool) *torch.Tensor {
	requireMaps(maps, len(d.heads))
	logits := make([]*torch.Tensor, len(d.heads))
	for i, head := range d.heads {
		logits[i] = head.Forward(s, maps[i], condition, train)
	}
	return s.Cat(1, logits...)
}

// TextHead is a head of StyleGAN-T (DiscHead): two convolutions along the tokens,
// the second around a residual, and the product with the projected condition.
type TextHead struct {
	first, second *tokenBlock
	last          *tokenConvolution
	condition     *fullyConnected // nil: unconditional
}

// NewTextHead makes a head on a map with the given channels.
func NewTextHead(p nn.Path, channels int, c TextHeadConfig) *TextHead {
	h := &TextHead{
		first:  newTokenBlock(p.At("main", 0), channels, 1),
		second: newTokenBlock(p.At("main", 1, "fn"), channels, 9),
	}
	if c.Condition == 0 {
		h.last = newTokenConvolution(p.At("cls"), channels, 1, 1)
		return h
	}
	dim := c.MapDim
	if dim == 0 {
		dim = 64
	}
	h.condition = newFullyConnected(p.At("cmapper"), c.Condition, dim)
	h.last = newTokenConvolution(p.At("cls"), channels, dim, 1)
	return h
}

// Forward maps a feature map (N,Channels,H,W), whose positions count as a row of
// tokens, and a condition (N,Condition; nil: none) to scores (N,H·W), float32.
// See [TextDiscriminator.Logits].
func (h *TextHead) Forward(s *torch.Scope, x, condition *torch.Tensor, train bool) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		n := x.Dim(0)
		x := h.first.forward(s, s.Reshape(x, n, x.Dim(1), 1, -1), train)
		x = s.Scale(s.Add(h.second.forward(s, x, train), x), 1/math.Sqrt2)
		x = s.To(h.last.forward(s, x, train), torch.Float32)
		if h.condition != nil {
			direction := h.condition.linear(s, condition)
			x = s.Mul(x, s.Reshape(direction, n, -1, 1, 1))
			x = s.Scale(s.Sum(x, 1), 1/math.Sqrt(float64(direction.Dim(1))))
		}
		return s.Reshape(x, n, -1)
	})
}

// linear maps (N,In) to (N,Out), float32, without the activation.
func (l *fullyConnected) linear(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	f := s.WithCompute(torch.Float32)
	defer f.Close()
	return f.Keep(f.Linear(x, f.Scale(l.weight, 1/math.Sqrt(float64(l.weight.Dim(1)))), l.bias))
}

// tokenBlock is a convolution along tokens (N,C,1,L), normalisation and LeakyReLU(0.2).
type tokenBlock struct {
	conv *tokenConvolution
	norm *batchNormLocal
}

func newTokenBlock(p nn.Path, channels, kernel int) *tokenBlock {
	return &tokenBlock{newTokenConvolution(p.At(0), channels, channels, kernel), newBatchNormLocal(p.At(1), channels)}
}

func (b *tokenBlock) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	return s.LeakyReLU(b.norm.forward(s, b.conv.forward(s, x, train)), 0.2)
}

// tokenConvolution is a convolution along tokens with spectral norm, their row closed to a circle.
type tokenConvolution struct {
	weight spectral // (Out,In,K)
	bias   *torch.Tensor
}

func newTokenConvolution(p nn.Path, in, out, kernel int) *tokenConvolution {
	bound := 1 / math.Sqrt(float64(in*kernel))
	bias := p.Uniform("bias", bound, out)
	return &tokenConvolution{newSpectral(p, p.Uniform("weight_orig", bound, out, in, kernel)), bias}
}

func (c *tokenConvolution) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	shape := c.weight.orig.Shape()
	if margin := shape[2] / 2; margin > 0 {
		x = s.Cat(3, s.Narrow(x, 3, x.Dim(3)-margin, margin), x, s.Narrow(x, 3, 0, margin))
	}
	weight := s.Reshape(c.weight.weight(s, train), shape[0], shape[1], 1, shape[2])
	return s.Conv2d(x, weight, c.bias, torch.ConvOptions{})
}

// batchNormLocal normalises by the statistics of groups of at most eight images
// in a row, in training and in evaluation alike: it keeps none.
type batchNormLocal struct{ weight, bias *torch.Tensor }

func newBatchNormLocal(p nn.Path, channels int) *batchNormLocal {
	return &batchNormLocal{p.Constant("weight", 1, channels), p.Constant("bias", 0, channels)}
}

// forward keeps the shape of x (N,C,1,L).
func (b *batchNormLocal) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	n, channels := x.Dim(0), x.Dim(1)
	groups := (n + 7) / 8
	if n%groups != 0 {
		panic(&torch.Error{Op: "discriminator", Message: fmt.Sprintf("a batch of %d images does not divide into %d equal groups", n, groups)})
	}
	x = s.Reshape(s.To(x, torch.Float32), groups, n/groups, channels, -1)
	d := s.Sub(x, s.MeanKeep(x, 1, 3))
	d = s.Mul(d, s.Rsqrt(s.Affine(s.MeanKeep(s.Square(d), 1, 3), 1, 1e-5)))
	d = s.Add(s.Mul(d, s.Reshape(b.weight, channels, 1)), s.Reshape(b.bias, channels, 1))
	return s.Reshape(d, n, channels, 1, -1)
}
