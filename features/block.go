package features

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// block is a convolution without bias, BatchNorm and an activation; once folded,
// a convolution with bias and the activation.
type block struct {
	weight, bias *torch.Tensor // bias is nil until folded
	norm         *batchNorm    // nil once folded
	options      torch.ConvOptions
	same         bool // pad as TensorFlow does, in place of the options' padding
	activate     activation
}

// batchNorm are the parameters and running statistics (C) of BatchNorm.
type batchNorm struct {
	gamma, beta, mean, variance *torch.Tensor
	eps                         float64
}

// activation is a function of every element.
type activation func(s *torch.Scope, x *torch.Tensor) *torch.Tensor

func leaky(slope float64) activation {
	return func(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return s.LeakyReLU(x, slope) }
}

func relu6(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return s.ReLU6(x) }

func identity(_ *torch.Scope, x *torch.Tensor) *torch.Tensor { return x }

// newBlock makes a 3×3 convolution with LeakyReLU of the given slope; 0 is ReLU.
func newBlock(p nn.Path, in, out, stride int, slope float64) *block {
	return newConvNorm(p.At("conv"), p.At("norm"), in, out, [2]int{3, 3}, torch.ConvOptions{Stride: stride, Padding: 1}, 1e-5, leaky(slope))
}

// newConvNorm makes a block with a kernel of the given height and width; eps is
// BatchNorm's. The tensors of the convolution and of BatchNorm have paths of their own.
func newConvNorm(conv, norm nn.Path, in, out int, kernel [2]int, o torch.ConvOptions, eps float64, a activation) *block {
	in /= max(o.Groups, 1)
	return &block{
		weight: conv.Uniform("weight", 1/math.Sqrt(float64(in*kernel[0]*kernel[1])), out, in, kernel[0], kernel[1]),
		norm: &batchNorm{
			gamma:    norm.Constant("weight", 1, out),
			beta:     norm.Constant("bias", 0, out),
			mean:     norm.Buffer("running_mean", 0, out),
			variance: norm.Buffer("running_var", 1, out),
			eps:      eps,
		},
		options:  o,
		activate: a,
	}
}

func (b *block) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		o := b.options
		if b.same {
			x, o = padSame(s, x, b.weight.Dim(2), o)
		}
		x = s.Conv2d(x, b.weight, b.bias, o)
		if n := b.norm; n != nil {
			x = s.BatchNorm(x, n.gamma, n.beta, n.mean, n.variance, train, 0.1, n.eps)
		}
		return b.activate(s, x)
	})
}

// fold returns the block in evaluation mode as one convolution, its tensors in s.
func (b *block) fold(s *torch.Scope) *block {
	f := s.NoGrad()
	defer f.Close()
	n := b.norm
	scale := f.Mul(n.gamma, f.Rsqrt(f.Affine(n.variance, 1, n.eps)))
	folded := *b
	folded.weight = f.To(f.Mul(b.weight, f.Reshape(scale, -1, 1, 1, 1)), s.Compute())
	folded.bias = f.To(f.Sub(n.beta, f.Mul(n.mean, scale)), s.Compute())
	folded.norm = nil
	f.Keep(folded.weight, folded.bias)
	return &folded
}

// wide returns the block in float64, its tensors in s.
func (b *block) wide(s *torch.Scope) *block {
	w, n := *b, *b.norm
	for _, t := range []**torch.Tensor{&w.weight, &n.gamma, &n.beta, &n.mean, &n.variance} {
		*t = s.To(*t, torch.Float64)
	}
	w.norm = &n
	return &w
}

// foldAll folds a row of blocks.
func foldAll(s *torch.Scope, blocks []*block) []*block {
	out := make([]*block, len(blocks))
	for i, b := range blocks {
		out[i] = b.fold(s)
	}
	return out
}

// padSame pads x so that a convolution's output is ceil(size/stride), with the
// odd row and column below and on the right (TensorFlow's "SAME"), or leaves it to
// the convolution where both sides are padded alike.
func padSame(s *torch.Scope, x *torch.Tensor, kernel int, o torch.ConvOptions) (*torch.Tensor, torch.ConvOptions) {
	shape, stride := x.Shape(), max(o.Stride, 1)
	total := func(size int) int { return max(((size+stride-1)/stride-1)*stride+kernel-size, 0) }
	h, w := total(shape[2]), total(shape[3])
	if h%2 == 0 && w%2 == 0 {
		o.Rect = [2]int{h / 2, w / 2}
		return x, o
	}
	return s.Pad(x, w/2, w-w/2, h/2, h-h/2, 0), o
}

// enlarge brings images smaller than size to it, bilinearly, in the layout of the fast kernels.
func enlarge(s *torch.Scope, x *torch.Tensor, size int) *torch.Tensor {
	if x.Dim(3) < size {
		x = s.Resize(x, size, size, torch.Bilinear)
	}
	return s.ChannelsLast(x)
}
