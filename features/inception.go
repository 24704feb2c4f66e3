package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Inception is the InceptionV3 of FID (Szegedy et al. 2016 as trained for
// TensorFlow in 2015), under the names of pytorch-fid's weights. Its average
// pools leave padding out, and its last pool takes the maximum.
type Inception struct {
	stem  [2][]*block // each in front of a max pool
	mixed []module
	fc    *nn.Linear
}

// InceptionClasses is the number of the classes of [InceptionOutput].
const InceptionClasses = 1008

// LoadInception makes the network in s from pytorch-fid's weights
// (pt_inception-2015-12-05), BatchNorm folded into the convolutions, in the
// compute dtype of s. Published scores are float32.
func LoadInception(s *torch.Scope, w Weights) (n *Inception, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	n = newInception(params.Root())
	if err := load(params, w); err != nil {
		return nil, err
	}
	n.settle(s)
	return n, nil
}

func newInception(p nn.Path) *Inception {
	stem := func(name string, in, out, size, stride, padding int) *block {
		return newKernel(p.At(name), in, kernel{"", out, size, size}, torch.ConvOptions{Stride: stride, Padding: padding})
	}
	return &Inception{
		stem: [2][]*block{{
			stem("Conv2d_1a_3x3", 3, 32, 3, 2, 0),
			stem("Conv2d_2a_3x3", 32, 32, 3, 1, 0),
			stem("Conv2d_2b_3x3", 32, 64, 3, 1, 1),
		}, {
			stem("Conv2d_3b_1x1", 64, 80, 1, 1, 0),
			stem("Conv2d_4a_3x3", 80, 192, 3, 1, 0),
		}},
		mixed: []module{
			newMixed5(p.At("Mixed_5b"), 192, 32),
			newMixed5(p.At("Mixed_5c"), 256, 64),
			newMixed5(p.At("Mixed_5d"), 288, 64),
			newMixed6a(p.At("Mixed_6a"), 288),
			newMixed6(p.At("Mixed_6b"), 768, 128),
			newMixed6(p.At("Mixed_6c"), 768, 160),
			newMixed6(p.At("Mixed_6d"), 768, 160),
			newMixed6(p.At("Mixed_6e"), 768, 192),
			newMixed7a(p.At("Mixed_7a"), 768),
			newMixed7(p.At("Mixed_7b"), 1280, averagePool),
			newMixed7(p.At("Mixed_7c"), 2048, maxPool),
		},
		fc: nn.NewLinear(p.At("fc"), 2048, InceptionClasses),
	}
}

// mixed6d is the module whose first channels are the features of sFID.
const mixed6d = 6

// settle folds BatchNorm and puts the tensors into s.
func (n *Inception) settle(s *torch.Scope) {
	rows := n.stem[:]
	for _, m := range n.mixed {
		for _, b := range m {
			rows = append(rows, b.row, b.ends)
		}
	}
	for _, row := range rows {
		copy(row, foldAll(s, row))
	}
	n.fc.Weight, n.fc.Bias = s.To(n.fc.Weight, s.Compute()), s.To(n.fc.Bias, s.Compute())
}

// InceptionOutput is what [Inception] says to N images, in float32.
type InceptionOutput struct {
	Features *torch.Tensor // (N,2048), pool3: those of FID
	Spatial  *torch.Tensor // (N,2023), those of sFID: seven channels of mixed_6/conv in the order H,W,C
	Logits   *torch.Tensor // (N,InceptionClasses)
	Unbiased *torch.Tensor // (N,InceptionClasses), Logits without the bias: those of the Inception Score
}

// Forward looks at images (N,3,299,299) as an [InceptionInput] makes them.
func (n *Inception) Forward(s *torch.Scope, x *torch.Tensor) InceptionOutput {
	c := s.Child()
	defer c.Close()
	outputs := n.outputs(c, x)
	last, first := outputs[len(outputs)-1], c.Narrow(outputs[2+mixed6d], 1, 0, 7)
	var o InceptionOutput
	o.Features = c.Mean(c.To(last, torch.Float32), 2, 3)
	o.Spatial = c.To(c.Reshape(c.Permute(first, 0, 2, 3, 1), x.Dim(0), -1), torch.Float32)
	o.Unbiased = c.To(c.Linear(o.Features, n.fc.Weight, nil), torch.Float32)
	o.Logits = c.Add(o.Unbiased, c.To(n.fc.Bias, torch.Float32))
	c.Keep(o.Features, o.Spatial, o.Logits, o.Unbiased)
	return o
}

// outputs are those of both parts of the stem and of every module.
func (n *Inception) outputs(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	x = s.ChannelsLast(x)
	var out []*torch.Tensor
	for _, row := range n.stem {
		x = s.Local(func(s *torch.Scope) *torch.Tensor { return halvingPool(s, forwardAll(s, row, x)) })
		out = append(out, x)
	}
	for _, m := range n.mixed {
		x = m.forward(s, x)
		out = append(out, x)
	}
	return out
}
