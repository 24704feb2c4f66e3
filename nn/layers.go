package nn

import "github.com/pagoda-go/pagoda/torch"

// Conv2d is a convolution; Weight is (Out,In/Groups,K,K), Bias (Out) or nil.
type Conv2d struct {
	Weight, Bias *torch.Tensor
	Options      torch.ConvOptions
}

// NewConv2d makes a kernel×kernel convolution that keeps the image's size at
// stride 1, initialised as PyTorch does.
func NewConv2d(p Path, in, out, kernel int, o torch.ConvOptions) *Conv2d {
	bound := fanInBound(in / max(o.Groups, 1) * kernel * kernel)
	o.Padding = kernel / 2
	p.convolves(in, out, kernel, o)
	return &Conv2d{
		Weight:  p.Uniform("weight", bound, out, in/max(o.Groups, 1), kernel, kernel),
		Bias:    p.Uniform("bias", bound, out),
		Options: o,
	}
}

// NewZeroConv2d is NewConv2d starting at zero, for the ends of residual branches.
func NewZeroConv2d(p Path, in, out, kernel int) *Conv2d {
	if p.params.random {
		return NewConv2d(p, in, out, kernel, torch.ConvOptions{})
	}
	p.convolves(in, out, kernel, torch.ConvOptions{})
	return &Conv2d{
		Weight:  p.Constant("weight", 0, out, in, kernel, kernel),
		Bias:    p.Constant("bias", 0, out),
		Options: torch.ConvOptions{Padding: kernel / 2},
	}
}

// convolves counts a convolution that ends in images of the path's size.
func (p Path) convolves(in, out, kernel int, o torch.ConvOptions) {
	stride := float64(max(o.Stride, 1))
	p.Spend(Work{
		FLOPs: 2 * float64(in/max(o.Groups, 1)*kernel*kernel*out) * p.positions(),
		Kept:  float64(in) * p.positions() * stride * stride,
	})
}

// Forward maps (N,In,H,W) to (N,Out,H/stride,W/stride).
func (c *Conv2d) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Conv2d(x, c.Weight, c.Bias, c.Options)
}

// Linear is y = Wx+b; Weight is (Out,In), Bias (Out).
type Linear struct{ Weight, Bias *torch.Tensor }

// NewLinear makes a linear layer initialised as PyTorch does.
func NewLinear(p Path, in, out int) *Linear {
	bound := fanInBound(in)
	p.Spend(Work{FLOPs: 2 * float64(in*out) * p.positions(), Kept: float64(in) * p.positions()})
	return &Linear{p.Uniform("weight", bound, out, in), p.Uniform("bias", bound, out)}
}

// Forward maps (…,In) to (…,Out).
func (l *Linear) Forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Linear(x, l.Weight, l.Bias)
}

// GroupNorm normalises groups of channels; Weight and Bias are (C).
type GroupNorm struct {
	Weight, Bias *torch.Tensor
	Groups       int
	Eps          float64
}

// NewGroupNorm makes a normalisation with eps 1e-5.
func NewGroupNorm(p Path, channels, groups int) *GroupNorm {
	p.Spend(Work{Kept: float64(channels) * p.positions()})
	return &GroupNorm{p.Constant("weight", 1, channels), p.Constant("bias", 0, channels), groups, 1e-5}
}

// Forward normalises x (N,C,H,W), then modulates and activates as o says.
func (g *GroupNorm) Forward(s *torch.Scope, x *torch.Tensor, o torch.GroupNormOptions) *torch.Tensor {
	return s.GroupNorm(x, g.Weight, g.Bias, g.Groups, g.Eps, o)
}

// Embedding is a table of vectors, Weight (Count,Dim).
type Embedding struct{ Weight *torch.Tensor }

// NewEmbedding makes a table with standard normal values.
func NewEmbedding(p Path, count, dim int) *Embedding {
	return &Embedding{p.Normal("weight", 1, count, dim)}
}

// Forward looks indices (N) up: (N,Dim).
func (e *Embedding) Forward(s *torch.Scope, index *torch.Tensor) *torch.Tensor {
	return s.IndexSelect(e.Weight, 0, index)
}

// Conditioned normalises h (N,C,H,W) and applies SiLU, the embedding's projection
// e entering as FiLM after the affine part when film is set, e being (N,2C), or
// added to h in front of the normalisation, e being (N,C).
func (g *GroupNorm) Conditioned(s *torch.Scope, h, e *torch.Tensor, film bool) *torch.Tensor {
	o := torch.GroupNormOptions{SiLU: true}
	if film {
		halves := s.Chunk(e, 2, 1)
		o.Scale, o.Shift = halves[0], halves[1]
	} else {
		h = s.Add(h, s.Reshape(e, e.Dim(0), -1, 1, 1))
	}
	return g.Forward(s, h, o)
}
