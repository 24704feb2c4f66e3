package edm

import (
	"fmt"
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// UNet is one of EDM's networks.
type UNet struct {
	Config    Config
	Recompute bool // gradient checkpointing: training takes less memory and a third more time
	mapping   *mapping
	stem      *conv2d
	encoder   []encoderBlock
	decoder   []decoderBlock
	headNorm  *nn.GroupNorm
	headConv  *nn.Conv2d
}

// encoderBlock is a residual block whose output is kept for a skip connection.
type encoderBlock struct {
	*unetBlock
	residual *conv2d // from the image, or the last level's sum, into this one; nil: none
}

// decoderBlock is a residual block that may start by joining a skip connection.
type decoderBlock struct {
	*unetBlock
	joins bool
}

// New makes the network at path p, with zero-initialised residual ends and head.
func New(p nn.Path, c Config) (u *UNet, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	defer torch.Recover(&err)
	song := c.Architecture == SongUNet
	o := blockOptions{embed: c.embedChannels(), film: !song, project: song, skipScale: 1, eps: 1e-5, dropout: c.Dropout}
	o.filter = box
	if song {
		o.filter, o.skipScale, o.eps = c.ResampleFilter, math.Sqrt(0.5), 1e-6
	}
	block := func(p nn.Path, in, out int, r resampling, attends bool) *unetBlock {
		o := o
		o.resampling = r
		if attends {
			o.heads = c.heads(out)
		}
		return newUNetBlock(p, in, out, o)
	}

	u = &UNet{Config: c, mapping: newMapping(p, c)}
	last := len(c.ChannelMult) - 1
	width := c.ModelChannels
	if !song {
		width *= c.ChannelMult[0]
	}
	u.stem = newConv2d(c.at(p, "enc", 0, "conv"), c.Channels, width, 3, convOptions{})
	skips, aux := []int{width}, c.Channels
	for level, mult := range c.ChannelMult {
		if level > 0 {
			b := encoderBlock{unetBlock: block(c.at(p, "enc", level, "down"), width, width, down, false)}
			if song && c.ResidualEncoder {
				b.residual = newConv2d(c.at(p, "enc", level, "aux_residual"), aux, width, 3,
					convOptions{resampling: down, filter: c.ResampleFilter, fused: true})
				aux = width
			}
			u.encoder, skips = append(u.encoder, b), append(skips, width)
		}
		for i := range c.Blocks {
			out := mult * c.ModelChannels
			b := block(c.at(p, "enc", level, fmt.Sprint("block", i)), width, out, same, c.attends(level))
			width = out
			u.encoder, skips = append(u.encoder, encoderBlock{unetBlock: b}), append(skips, width)
		}
	}

	for level := last; level >= 0; level-- {
		if level == last {
			u.decoder = append(u.decoder,
				decoderBlock{block(c.at(p, "dec", level, "in0"), width, width, same, true), false},
				decoderBlock{block(c.at(p, "dec", level, "in1"), width, width, same, false), false})
		} else {
			u.decoder = append(u.decoder, decoderBlock{block(c.at(p, "dec", level, "up"), width, width, up, false), false})
		}
		for i := range c.Blocks + 1 {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			out := c.ChannelMult[level] * c.ModelChannels
			attends := c.attends(level) && (!song || i == c.Blocks)
			b := block(c.at(p, "dec", level, fmt.Sprint("block", i)), width+skip, out, same, attends)
			width = out
			u.decoder = append(u.decoder, decoderBlock{b, true})
		}
	}
	norm, conv := p.Over(c.Resolution).At("out_norm"), p.Over(c.Resolution).At("out_conv")
	if song {
		norm, conv = c.at(p, "dec", 0, "aux_norm"), c.at(p, "dec", 0, "aux_conv")
	}
	u.headNorm = newGroupNorm(norm, width, o.eps)
	u.headConv = nn.NewZeroConv2d(conv, width, c.Channels, 3)
	return u, nil
}

// at is the path of a layer, which EDM names by the resolution it works at.
func (c Config) at(p nn.Path, half string, level int, layer string) nn.Path {
	size := c.Resolution >> level
	return p.At(half, fmt.Sprintf("%dx%d_%s", size, size, layer)).Over(size)
}

func (c Config) attends(level int) bool { return slices.Contains(c.Attention, c.Resolution>>level) }

func (c Config) heads(channels int) int {
	if c.HeadChannels == 0 {
		return 1
	}
	return channels / c.HeadChannels
}

// Forward is the raw network F(x, c_noise, class, augmentation): x
// (N,Channels,Resolution,Resolution) scaled by c_in, noise (N) as NoiseArgument
// gives it, class (N,LabelDim) one-hot or nil for no class, augment
// (N,AugmentDim) or nil for no augmentation. The output has x's shape, float32.
func (u *UNet) Forward(s *torch.Scope, x *torch.Tensor, noise []float32, class, augment *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		emb := u.mapping.forward(s, noise, class, augment)
		h := u.decode(s, u.encode(s, s.ChannelsLast(x), emb), emb)
		h = u.headNorm.Forward(s, h, torch.GroupNormOptions{SiLU: true})
		return s.To(u.headConv.Forward(s, h), torch.Float32)
	})
}

// encode returns the outputs of the stem and of every encoder block.
func (u *UNet) encode(s *torch.Scope, x, emb *torch.Tensor) (skips []*torch.Tensor) {
	h := u.stem.forward(s, x)
	skips = append(skips, h)
	for _, b := range u.encoder {
		h = b.forward(s, u.Recompute, emb, h)
		if b.residual != nil {
			h = s.Scale(s.Add(h, b.residual.forward(s, x)), math.Sqrt(0.5))
			x = h
		}
		skips = append(skips, h)
	}
	return skips
}

// decode starts from the last of the skip connections and frees each once it is joined.
func (u *UNet) decode(s *torch.Scope, skips []*torch.Tensor, emb *torch.Tensor) *torch.Tensor {
	h := skips[len(skips)-1]
	for _, b := range u.decoder {
		in := []*torch.Tensor{h}
		if b.joins {
			in = append(in, skips[len(skips)-1])
			skips = skips[:len(skips)-1]
		}
		h = b.forward(s, u.Recompute, emb, in...)
		if b.joins {
			s.Free(in...)
		}
	}
	return h
}

// Network is a UNet as the packages above want one, a diffusion.Network.
type Network struct {
	*UNet
	Augment  *torch.Tensor               // (N,AugmentDim) of the batches to come; nil: no augmentation
	Argument func(sigma float32) float32 // how the network sees a noise level; nil: NoiseArgument
}

// Forward is the raw network for noise levels sigma (N) above 0 and classes (N), nil for none.
func (n Network) Forward(s *torch.Scope, x *torch.Tensor, sigma []float32, labels []int64) *torch.Tensor {
	var class *torch.Tensor
	if labels != nil {
		class = oneHot(s, labels, n.Config.LabelDim)
	}
	argument := NoiseArgument
	if n.Argument != nil {
		argument = n.Argument
	}
	return n.UNet.Forward(s, x, arguments(argument, sigma), class, n.Augment)
}
