package gan

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// HeadConfig is the architecture of a discriminator head. The names in brackets are the reference's.
type HeadConfig struct {
	Channels int  // of the feature map (nc)
	Size     int  // nominal size of the map (start_sz); taken as the nearest power of two from 4 to 1024
	End      int  // size at which halving stops (end_sz); 8 when zero, or that of a smaller map
	Width    int  // channels of all layers (ndf); zero: by size, see widths
	Stem     bool // begin with a 3×3 convolution that keeps the size (head)
	Patch    bool // follow each halving by a 1×1 convolution

	Classes  int // zero: unconditional
	EmbedDim int // of the class embedding; 320 in the pretrained one
	MapDim   int // of the projection onto the class (cmap_dim); 64 when zero
}

// widths are the channels that Projected GAN's heads have at each size.
var widths = map[int]int{4: 512, 8: 512, 16: 256, 32: 128, 64: 64, 128: 64, 256: 32, 512: 16, 1024: 8}

// nearest is the size of the table of widths nearest to size, the smaller of two.
func nearest(size int) int {
	best := 4
	for s := 8; s <= 1024; s *= 2 {
		if abs(s-size) < abs(best-size) {
			best = s
		}
	}
	return best
}

func abs(x int) int { return max(x, -x) }

// SingleDisc is a head on one feature map: convolutions of stride 2 with
// BatchNorm down to the end size, then a 4×4 one (SingleDisc of sony/pagoda
// pg_modules/discriminator.py). With classes it is SingleDiscCond: the score is
// the product of the map with the projected class embedding. That embedding,
// parameter embed.weight, can be loaded and frozen, or trained.
type SingleDisc struct {
	main  sequence
	last  *convolution
	class *classMap // nil: unconditional
}

// classMap projects classes to the directions that the map is multiplied by.
type classMap struct {
	embed   *nn.Embedding
	project *fullyConnected
}

// NewSingleDisc makes a head.
func NewSingleDisc(p nn.Path, c HeadConfig) *SingleDisc {
	size, end := nearest(c.Size), c.End
	if end == 0 {
		end = 8
	}
	end = min(end, size)
	start := size
	width := func(size int) int {
		switch {
		case size == start && !c.Stem:
			return c.Channels
		case c.Width > 0:
			return c.Width
		}
		return widths[size]
	}
	d := &SingleDisc{}
	if c.Stem {
		d.main = sequence{newConvolution(p.At("main", 0), c.Channels, width(256), 3, false, torch.ConvOptions{Padding: 1}), leaky{}}
	}
	for ; size > end; size /= 2 {
		at := p.At("main", len(d.main))
		if c.Patch {
			d.main = append(d.main, newDownBlockPatch(at, width(size), width(size/2)))
		} else {
			d.main = append(d.main, newDownBlock(at, width(size), width(size/2)))
		}
	}
	if c.Classes == 0 {
		d.last = newConvolution(p.At("main", len(d.main)), width(end), 1, 4, false, torch.ConvOptions{})
		return d
	}
	dim := c.MapDim
	if dim == 0 {
		dim = 64
	}
	d.last = newConvolution(p.At("cls"), width(end), dim, 4, false, torch.ConvOptions{})
	d.class = &classMap{nn.NewEmbedding(p.At("embed"), c.Classes, c.EmbedDim), newFullyConnected(p.At("embed_proj"), c.EmbedDim, dim)}
	return d
}

// newDownBlock halves the size.
func newDownBlock(p nn.Path, in, out int) sequence {
	p = p.At("main")
	halving := newConvolution(p.At(0), in, out, 4, true, torch.ConvOptions{Stride: 2, Padding: 1})
	halving.normed = true
	return sequence{halving, newBatchNorm(p.At(1), out), leaky{}}
}

// newDownBlockPatch halves the size and mixes channels once more.
func newDownBlockPatch(p nn.Path, in, out int) sequence {
	p = p.At("main")
	return sequence{
		newDownBlock(p.At(0), in, out),
		newConvolution(p.At(1), out, out, 1, false, torch.ConvOptions{}),
		newBatchNorm(p.At(2), out),
		leaky{},
	}
}

// Forward maps a feature map (N,Channels,H,W) and classes (N; nil when
// unconditional) to scores (N,1,h,w), float32. See [Discriminator] for train.
func (d *SingleDisc) Forward(s *torch.Scope, x *torch.Tensor, labels []int64, train bool) *torch.Tensor {
	h := d.main.forward(s, s.ChannelsLast(x), train)
	h = s.To(d.last.forward(s, h, train), torch.Float32)
	if d.class == nil {
		return h
	}
	direction := d.class.project.forward(s, d.class.embed.Forward(s, s.FromInt64(labels, len(labels))))
	dim := direction.Dim(1)
	h = s.SumKeep(s.Mul(h, s.Reshape(direction, -1, dim, 1, 1)), 1)
	return s.Scale(h, 1/math.Sqrt(float64(dim)))
}
