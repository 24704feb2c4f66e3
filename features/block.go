package features

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// block is a 3×3 convolution without bias, BatchNorm and LeakyReLU; once folded,
// a convolution with bias and LeakyReLU.
type block struct {
	weight, bias   *torch.Tensor // bias is nil until folded
	gamma, beta    *torch.Tensor // nil once folded, as the statistics are
	mean, variance *torch.Tensor
	stride         int
	slope          float64 // of LeakyReLU; 0 is ReLU
}

const normEps = 1e-5

func newBlock(p nn.Path, in, out, stride int, slope float64) *block {
	norm := p.At("norm")
	return &block{
		weight:   p.At("conv").Uniform("weight", 1/math.Sqrt(float64(9*in)), out, in, 3, 3),
		gamma:    norm.Constant("weight", 1, out),
		beta:     norm.Constant("bias", 0, out),
		mean:     norm.Buffer("running_mean", 0, out),
		variance: norm.Buffer("running_var", 1, out),
		stride:   stride,
		slope:    slope,
	}
}

func (b *block) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		x = s.Conv2d(x, b.weight, b.bias, torch.ConvOptions{Stride: b.stride, Padding: 1})
		if b.gamma != nil {
			x = s.BatchNorm(x, b.gamma, b.beta, b.mean, b.variance, train, 0.1, normEps)
		}
		return s.LeakyReLU(x, b.slope)
	})
}

// fold returns the block in evaluation mode as one convolution, its tensors in s.
func (b *block) fold(s *torch.Scope) *block {
	f := s.NoGrad()
	defer f.Close()
	scale := f.Mul(b.gamma, f.Rsqrt(f.Affine(b.variance, 1, normEps)))
	folded := &block{
		weight: f.To(f.Mul(b.weight, f.Reshape(scale, -1, 1, 1, 1)), s.Compute()),
		bias:   f.To(f.Sub(b.beta, f.Mul(b.mean, scale)), s.Compute()),
		stride: b.stride,
		slope:  b.slope,
	}
	f.Keep(folded.weight, folded.bias)
	return folded
}

// foldAll folds a row of blocks.
func foldAll(s *torch.Scope, blocks []*block) []*block {
	out := make([]*block, len(blocks))
	for i, b := range blocks {
		out[i] = b.fold(s)
	}
	return out
}

// enlarge brings images smaller than size to it, bilinearly, in the layout of the fast kernels.
func enlarge(s *torch.Scope, x *torch.Tensor, size int) *torch.Tensor {
	if x.Dim(3) < size {
		x = s.Resize(x, size, size, torch.Bilinear)
	}
	return s.ChannelsLast(x)
}
