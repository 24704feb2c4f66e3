package gan

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// ProjectionD is the discriminator for the few and small maps of an in-domain
// feature network: fixed random mixing of channels and neighbouring scales,
// then on each map a light projection head (Miyato & Koyama 2018) with
// spectral norm and without BatchNorm. It is a [Discriminator].
type ProjectionD struct {
	// Gain multiplies what the scores are made of, which spectral norm keeps small.
	Gain float64

	channels []*nn.Conv2d // mixing within a map
	scales   []*nn.Conv2d // mixing of the next coarser map into a map
	heads    []*projectionHead
}

// NewProjectionD makes the discriminator of maps with the given channels and
// sizes, each size half the one before it and a power of two from 4 up, with
// heads of the given width, for classes. Its Gain is 1.
func NewProjectionD(p nn.Path, channels, sizes []int, width, classes int) *ProjectionD {
	d := &ProjectionD{Gain: 1}
	for i, c := range channels {
		d.channels = append(d.channels, newMixing(p.At("channels", i), c, c))
		if i > 0 {
			d.scales = append(d.scales, newMixing(p.At("scales", i-1), c, channels[i-1]))
		}
		d.heads = append(d.heads, newProjectionHead(p.At("heads", i), c, sizes[i], width, classes))
	}
	return d
}

// Logits are 16 scores a map: see [Discriminator].
func (d *ProjectionD) Logits(s *torch.Scope, maps []*torch.Tensor, labels []int64, train bool) *torch.Tensor {
	requireMaps(maps, len(d.heads))
	index := s.FromInt64(labels, len(labels))
	logits := make([]*torch.Tensor, len(maps))
	var coarser *torch.Tensor
	for i := len(maps) - 1; i >= 0; i-- {
		x := d.channels[i].Forward(s, s.ChannelsLast(maps[i]))
		if coarser != nil {
			size := x.Dim(2)
			x = s.Add(x, s.Resize(d.scales[i].Forward(s, coarser), size, size, torch.Nearest))
			x = s.Scale(x, math.Sqrt2/2)
		}
		coarser = x
		logits[i] = d.heads[i].forward(s, x, index, d.Gain, train)
	}
	return s.Cat(1, logits...)
}

// newMixing is a fixed 1×1 convolution that keeps the variance.
func newMixing(p nn.Path, in, out int) *nn.Conv2d {
	return &nn.Conv2d{Weight: p.NormalBuffer("weight", 1/math.Sqrt(float64(in)), out, in, 1, 1)}
}

// projectionHead brings a map down to 4×4 and scores each place by a
// convolution plus the product with the class's vector.
type projectionHead struct {
	main  sequence
	score *convolution
	embed spectral // (classes,width)
}

func newProjectionHead(p nn.Path, in, size, width, classes int) *projectionHead {
	h := &projectionHead{}
	add := func(stride int) {
		o := torch.ConvOptions{Stride: stride, Padding: 1}
		h.main = append(h.main, newConvolution(p.At("main", len(h.main)), in, width, 3, true, o), leaky{})
		in = width
	}
	for ; size > 4; size /= 2 {
		add(2)
	}
	add(1)
	h.score = newConvolution(p.At("score"), width, 1, 3, true, torch.ConvOptions{Padding: 1})
	at := p.At("embed")
	h.embed = newSpectral(at, at.Normal("weight_orig", 1, classes, width))
	return h
}

// forward maps x (N,C,H,W) and classes (N) to scores (N,16), float32.
func (h *projectionHead) forward(s *torch.Scope, x, index *torch.Tensor, gain float64, train bool) *torch.Tensor {
	x = s.Scale(h.main.forward(s, x, train), gain)
	score := s.To(h.score.forward(s, x, train), torch.Float32)
	class := s.IndexSelect(h.embed.weight(s, train), 0, index)
	n, width := class.Dim(0), class.Dim(1)
	match := s.SumKeep(s.Mul(s.To(x, torch.Float32), s.Reshape(class, n, width, 1, 1)), 1)
	return s.Reshape(s.Add(score, match), n, -1)
}
