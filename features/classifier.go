package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Classifier is a feature network trained on the data at hand: 3×3 convolutions
// with BatchNorm and LeakyReLU(0.1) at four scales, mean pooling and a linear
// layer. Its maps are the activations at the end of each scale.
type Classifier struct {
	Resolution int // smaller images are enlarged to it

	scales [][]*block
	widths []int
	head   *nn.Linear
}

// NewClassifier makes a classifier of images with the given channels, with
// width, 2·width, 4·width and 8·width feature channels and Resolution 32.
func NewClassifier(p nn.Path, channels, width, classes int) *Classifier {
	c := &Classifier{Resolution: 32}
	in := channels
	for i := range 4 {
		out, at := width<<i, p.At("scales", i)
		stride := min(i+1, 2)
		scale := []*block{newBlock(at.At(0), in, out, stride, 0.1)}
		if i > 0 {
			scale = append(scale, newBlock(at.At(1), out, out, 1, 0.1))
		}
		c.scales, c.widths, in = append(c.scales, scale), append(c.widths, out), out
	}
	c.head = nn.NewLinear(p.At("head"), in, classes)
	return c
}

// Maps turns images (N,C,H,W) in [-1,1] into the maps of the four scales, of
// sizes R, R/2, R/4 and R/8 at Resolution R, by the running statistics.
func (c *Classifier) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	return c.maps(s, x, false)
}

func (c *Classifier) maps(s *torch.Scope, x *torch.Tensor, train bool) []*torch.Tensor {
	x = enlarge(s, x, c.Resolution)
	maps := make([]*torch.Tensor, len(c.scales))
	for i, scale := range c.scales {
		for _, b := range scale {
			x = b.forward(s, x, train)
		}
		maps[i] = x
	}
	return maps
}

// Channels are the widths of Maps.
func (c *Classifier) Channels() []int { return c.widths }

// Logits are the class scores (N,classes), float32, of images (N,C,H,W) in
// [-1,1]; train normalises by the batch and updates the running statistics.
func (c *Classifier) Logits(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	maps := c.maps(s, x, train)
	return s.To(c.head.Forward(s, s.Mean(maps[len(maps)-1], 2, 3)), torch.Float32)
}

// Fold returns the classifier for use without training, BatchNorm folded into
// the convolutions. Its weights are copies in s, in the compute dtype of s.
func (c *Classifier) Fold(s *torch.Scope) *Classifier {
	folded := *c
	folded.scales = nil
	for _, scale := range c.scales {
		folded.scales = append(folded.scales, foldAll(s, scale))
	}
	return &folded
}
