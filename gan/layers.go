package gan

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// layer is a part of a head.
type layer interface {
	forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor
}

// sequence is layers in a row.
type sequence []layer

func (q sequence) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	for _, l := range q {
		x = l.forward(s, x, train)
	}
	return x
}

// leaky is LeakyReLU(0.2).
type leaky struct{}

func (leaky) forward(s *torch.Scope, x *torch.Tensor, _ bool) *torch.Tensor {
	return s.LeakyReLU(x, 0.2)
}

// batchNorm is BatchNorm2d with PyTorch's defaults, state names included.
type batchNorm struct{ weight, bias, mean, variance, batches *torch.Tensor }

func newBatchNorm(p nn.Path, channels int) *batchNorm {
	return &batchNorm{
		weight:   p.Constant("weight", 1, channels),
		bias:     p.Constant("bias", 0, channels),
		mean:     p.Buffer("running_mean", 0, channels),
		variance: p.Buffer("running_var", 1, channels),
		batches:  p.Buffer("num_batches_tracked", 0, 1),
	}
}

func (b *batchNorm) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	if train {
		b.batches.Copy(s.Affine(b.batches, 1, 1))
	}
	return s.BatchNorm(x, b.weight, b.bias, b.mean, b.variance, train, 0.1, 1e-5)
}

// fullyConnected is StyleGAN2's equalised linear layer with leaky ReLU
// (pg_modules/networks_stylegan2.py, FullyConnectedLayer).
type fullyConnected struct{ weight, bias *torch.Tensor }

func newFullyConnected(p nn.Path, in, out int) *fullyConnected {
	return &fullyConnected{p.Normal("weight", 1, out, in), p.Constant("bias", 0, out)}
}

// forward maps (N,In) to (N,Out), float32.
func (l *fullyConnected) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	f := s.WithCompute(torch.Float32)
	defer f.Close()
	weight := f.Scale(l.weight, 1/math.Sqrt(float64(l.weight.Dim(1))))
	return f.Keep(f.Scale(f.LeakyReLU(f.Linear(x, weight, l.bias), 0.2), math.Sqrt2))
}
