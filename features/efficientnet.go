package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// EfficientNet is EfficientNet-Lite0 (Tan & Le 2019, without squeeze-excitation
// and with ReLU6), timm's tf_efficientnet_lite0. It is a [Network]: its maps are
// those that Projected GANs take, of sizes 1/4, 1/8, 1/16 and 1/32.
type EfficientNet struct {
	stem   *block
	stages [][]*inverted
}

// EfficientNetOptions are the choices in making an [EfficientNet].
type EfficientNetOptions struct {
	// AsBuilt moves the running statistics of BatchNorm by one training step of
	// momentum 0.1 on one image of zeros (1,3,256,256). Projected GAN and
	// its descendants do so without meaning to, by measuring the maps before they
	// switch to evaluation (sony/pagoda feature_networks/pretrained_builder.py,
	// calc_dims), and the results they published rest on it. The maps change much.
	AsBuilt bool
}

// LoadEfficientNet makes the network in s from timm's weights, BatchNorm folded
// into the convolutions, in the compute dtype of s.
func LoadEfficientNet(s *torch.Scope, w Weights, o EfficientNetOptions) (e *EfficientNet, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	e = NewEfficientNet(params.Root())
	if err := load(params, w, efficientUnused...); err != nil {
		return nil, err
	}
	if o.AsBuilt {
		e.build(f)
	}
	return e.fold(s), nil
}

// efficientUnused are the parts of timm's network behind the last map.
var efficientUnused = []string{"conv_head.", "bn2.", "classifier."}

// NewEfficientNet makes the network with random weights, BatchNorm by its running statistics.
func NewEfficientNet(p nn.Path) *EfficientNet {
	e := &EfficientNet{stem: newSame(p, "conv_stem", "bn1", 3, 32, 3, 2, 1, relu6)}
	in := 32
	for i, c := range efficientStages {
		var stage []*inverted
		for j := range c.repeats {
			stride := 1
			if j == 0 {
				stride = c.stride
			}
			stage = append(stage, newInverted(p.At("blocks", i, j), in, c.channels, c.kernel, stride, c.expand))
			in = c.channels
		}
		e.stages = append(e.stages, stage)
	}
	return e
}

// efficientStages are the stages: each so many blocks, the first with the stride.
var efficientStages = []struct{ repeats, kernel, stride, expand, channels int }{
	{1, 3, 1, 1, 16},
	{2, 3, 2, 6, 24},
	{2, 5, 2, 6, 40},
	{3, 3, 2, 6, 80},
	{3, 5, 1, 6, 112},
	{4, 5, 2, 6, 192},
	{1, 3, 1, 6, 320},
}

// efficientTaps are the stages whose outputs are the maps.
var efficientTaps = []int{1, 2, 4, 6}

// Channels are 24, 40, 112 and 320.
func (e *EfficientNet) Channels() []int {
	var out []int
	for _, i := range efficientTaps {
		out = append(out, efficientStages[i].channels)
	}
	return out
}

// Maps turns images (N,3,H,W) in [-1,1] of any size into four maps.
func (e *EfficientNet) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	outputs := e.outputs(s, x, false)
	var maps []*torch.Tensor
	for _, i := range efficientTaps {
		maps = append(maps, outputs[1+i])
	}
	return maps
}

// outputs are those of the stem and of every stage.
func (e *EfficientNet) outputs(s *torch.Scope, x *torch.Tensor, train bool) []*torch.Tensor {
	x = e.stem.forward(s, s.ChannelsLast(x), train)
	out := []*torch.Tensor{x}
	for _, stage := range e.stages {
		for _, b := range stage {
			x = b.forward(s, x, train)
		}
		out = append(out, x)
	}
	return out
}

// build makes the step of EfficientNetOptions.AsBuilt, in float64: normalisation
// enlarges what little differs in an image of zeros, and rounding with it.
func (e *EfficientNet) build(s *torch.Scope) {
	c := s.NoGrad()
	defer c.Close()
	var moved []func()
	wide := e.each(func(b *block) *block {
		w := b.wide(c)
		moved = append(moved, func() {
			b.norm.mean.Copy(w.norm.mean)
			b.norm.variance.Copy(w.norm.variance)
		})
		return w
	})
	wide.outputs(c, c.To(c.Zeros(1, 3, 256, 256), torch.Float64), true)
	for _, keep := range moved {
		keep()
	}
}

func (e *EfficientNet) fold(s *torch.Scope) *EfficientNet {
	return e.each(func(b *block) *block { return b.fold(s) })
}

// each is the network with every block replaced.
func (e *EfficientNet) each(f func(*block) *block) *EfficientNet {
	out := &EfficientNet{stem: f(e.stem)}
	for _, stage := range e.stages {
		var row []*inverted
		for _, b := range stage {
			replaced := &inverted{residual: b.residual}
			for _, c := range b.blocks {
				replaced.blocks = append(replaced.blocks, f(c))
			}
			row = append(row, replaced)
		}
		out.stages = append(out.stages, row)
	}
	return out
}

// inverted is MobileNetV2's inverted residual block: 1×1 convolution to more
// channels, one of each channel by itself, and a 1×1 convolution back.
type inverted struct {
	blocks   []*block
	residual bool
}

func newInverted(p nn.Path, in, out, kernel, stride, expand int) *inverted {
	b, wide := &inverted{residual: in == out && stride == 1}, in*expand
	if expand == 1 {
		b.blocks = []*block{
			newSame(p, "conv_dw", "bn1", wide, wide, kernel, stride, wide, relu6),
			newSame(p, "conv_pw", "bn2", wide, out, 1, 1, 1, identity),
		}
		return b
	}
	b.blocks = []*block{
		newSame(p, "conv_pw", "bn1", in, wide, 1, 1, 1, relu6),
		newSame(p, "conv_dw", "bn2", wide, wide, kernel, stride, wide, relu6),
		newSame(p, "conv_pwl", "bn3", wide, out, 1, 1, 1, identity),
	}
	return b
}

func (b *inverted) forward(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		h := x
		for _, b := range b.blocks {
			h = b.forward(s, h, train)
		}
		if b.residual {
			h = s.Add(h, x)
		}
		return h
	})
}

// newSame makes a block as all of the network are: TensorFlow's padding and eps 1e-3.
func newSame(p nn.Path, conv, norm string, in, out, kernel, stride, groups int, a activation) *block {
	o := torch.ConvOptions{Stride: stride, Groups: groups}
	b := newConvNorm(p.At(conv), p.At(norm), in, out, [2]int{kernel, kernel}, o, 1e-3, a)
	b.same = true
	return b
}
