package gan

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// spectral is a weight divided by its largest singular value (Miyato et al.
// 2018), which the vectors u and v follow by power iteration: the numbers and
// names of torch.nn.utils.spectral_norm.
type spectral struct{ orig, u, v *torch.Tensor }

// newSpectral wraps orig, made at p as weight_orig; its first dimension are the rows.
func newSpectral(p nn.Path, orig *torch.Tensor) spectral {
	rows := orig.Dim(0)
	w := spectral{orig, p.NormalBuffer("weight_u", 1, rows), p.NormalBuffer("weight_v", 1, orig.Len()/rows)}
	s := torch.NewScope(orig.Device())
	defer s.Close()
	w.u.Copy(direction(s, w.u))
	w.v.Copy(direction(s, w.v))
	return w
}

// weight is the normalised weight; train makes a power iteration first.
func (w spectral) weight(s *torch.Scope, train bool) *torch.Tensor {
	return s.SpectralNorm(w.orig, w.u, w.v, train)
}

// direction is x/|x|.
func direction(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Div(x, s.Clamp(s.Sqrt(s.Sum(s.Square(x))), 1e-12, math.Inf(1)))
}

// convolution is a convolution with spectral norm.
type convolution struct {
	weight  spectral
	bias    *torch.Tensor // nil: none
	normed  bool          // BatchNorm follows
	options torch.ConvOptions
}

func newConvolution(p nn.Path, in, out, kernel int, bias bool, o torch.ConvOptions) *convolution {
	bound := 1 / math.Sqrt(float64(in*kernel*kernel))
	c := &convolution{options: o}
	if bias {
		c.bias = p.Uniform("bias", bound, out)
	}
	c.weight = newSpectral(p, p.Uniform("weight_orig", bound, out, in, kernel, kernel))
	return c
}

// forward gives the bias no gradient in front of a BatchNorm that normalises by
// the batch: it is zero, and summing it up would leave rounding noise.
func (c *convolution) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	bias := c.bias
	if bias != nil && c.normed && train {
		bias = s.Detach(bias)
	}
	return s.Conv2d(x, c.weight.weight(s, train), bias, c.options)
}
