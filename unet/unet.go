package unet

import (
	"fmt"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// layer is a part of a block.
type layer interface {
	forward(s *torch.Scope, x, emb *torch.Tensor) *torch.Tensor
}

// stem is the first convolution.
type stem struct{ *nn.Conv2d }

func (l stem) forward(s *torch.Scope, x, _ *torch.Tensor) *torch.Tensor { return l.Forward(s, x) }

// block is an element of input_blocks, middle_block or output_blocks: layers in a row.
type block struct {
	layers []layer
	params []*torch.Tensor
}

// forward joins x, one or two (N,C,H,W), and runs the layers; if asked, it keeps
// none of their activations and computes them again for the gradients.
func (b block) forward(s *torch.Scope, recompute bool, emb *torch.Tensor, x ...*torch.Tensor) *torch.Tensor {
	run := func(s *torch.Scope, in []*torch.Tensor) *torch.Tensor {
		return s.Local(func(s *torch.Scope) *torch.Tensor {
			h, emb := in[1], in[0]
			if len(in) > 2 {
				h = s.Cat(1, in[1:]...)
			}
			for _, l := range b.layers {
				h = l.forward(s, h, emb)
			}
			return h
		})
	}
	in := append([]*torch.Tensor{emb}, x...)
	if recompute {
		return s.Checkpoint(in, b.params, run)
	}
	return run(s, in)
}

// UNet is the ADM U-Net, its decoder grown or not.
type UNet struct {
	Config    Config
	Recompute bool                        // gradient checkpointing: training takes less memory and a third more time
	Argument  func(sigma float32) float32 // how the network sees a noise level; nil: NoiseArgument
	embed     *embedding
	input     []block
	middle    block
	output    []block
	norm      *nn.GroupNorm
	conv      *nn.Conv2d
}

// New makes the network at path p, with zero-initialised residual ends and head.
func New(p nn.Path, c Config) (u *UNet, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	defer torch.Recover(&err)
	u = &UNet{Config: c, embed: newEmbedding(p, c)}
	width := func(unit int, mult float64) int { return int(mult * float64(unit)) }
	size := c.InputSize
	attend := func(p nn.Path, channels int, decoder bool) []layer {
		if !c.attends(c.InputSize / size) {
			return nil
		}
		return []layer{newAttention(p, c, size, channels, c.heads(channels, decoder))}
	}
	rescale := func(p nn.Path, in, out int, film bool, k scaling) layer {
		from := size
		size = k.size(size)
		if c.ResBlockScale {
			return newResBlock(p, c, from, in, out, film, k)
		}
		return newResample(p, c, from, in, out, k)
	}

	ch := c.stem()
	add := func(blocks *[]block, layers ...layer) { *blocks = append(*blocks, block{layers: layers}) }
	add(&u.input, stem{nn.NewConv2d(p.At("input_blocks", 0, 0).Over(size), c.Channels, ch, 3, torch.ConvOptions{})})
	skips := []int{ch}
	for level, mult := range c.EncoderMult {
		for range c.ResBlocks {
			at := p.At("input_blocks", len(u.input))
			b := []layer{newResBlock(at.At(0), c, size, ch, width(c.ModelChannels, mult), c.FiLM, same)}
			ch = width(c.ModelChannels, mult)
			add(&u.input, append(b, attend(at.At(1), ch, false)...)...)
			skips = append(skips, ch)
		}
		if level < len(c.EncoderMult)-1 {
			add(&u.input, rescale(p.At("input_blocks", len(u.input), 0), ch, ch, c.FiLM, down))
			skips = append(skips, ch)
		}
	}

	at := p.At("middle_block")
	u.middle.layers = []layer{
		newResBlock(at.At(0), c, size, ch, ch, c.FiLM, same),
		newAttention(at.At(1), c, size, ch, c.heads(ch, false)),
		newResBlock(at.At(2), c, size, ch, ch, c.FiLM, same),
	}

	for level := len(c.DecoderMult) - 1; level >= c.Grown(); level-- {
		for i := range c.ResBlocks + 1 {
			at := p.At("output_blocks", len(u.output))
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			out := width(c.ModelChannels, c.DecoderMult[level])
			b := []layer{newResBlock(at.At(0), c, size, ch+skip, out, c.FiLM, same)}
			ch = out
			b = append(b, attend(at.At(1), ch, true)...)
			if level > c.Grown() && i == c.ResBlocks {
				b = append(b, rescale(at.At(len(b)), ch, ch, c.FiLM, up))
			}
			add(&u.output, b...)
		}
	}
	for level := c.Grown() - 1; level >= 0; level-- {
		out := width(c.ModelChannelsHigh, c.DecoderMult[level])
		add(&u.output, rescale(p.At("output_blocks", len(u.output), 0), ch, out, c.FiLMHigh, up))
		for range c.ResBlocksHigh {
			add(&u.output, newResBlock(p.At("output_blocks", len(u.output), 0), c, size, out, out, c.FiLMHigh, same))
		}
		ch = out
	}
	u.norm = nn.NewGroupNorm(p.At("out", 0).Over(size), ch, c.Groups)
	u.conv = nn.NewZeroConv2d(p.At("out", 2).Over(size), ch, c.Outputs(), 3)
	for i := range u.input {
		u.input[i].params = p.At("input_blocks", i).Tensors()
	}
	u.middle.params = p.At("middle_block").Tensors()
	for i := range u.output {
		u.output[i].params = p.At("output_blocks", i).Tensors()
	}
	return u, nil
}

// Forward maps x (N,Channels,InputSize,InputSize), already scaled by c_in, with
// noise levels (N) and classes (N, nil when unconditional) to (N,Outputs,OutputSize,OutputSize), float32.
func (u *UNet) Forward(s *torch.Scope, x *torch.Tensor, sigma []float32, labels []int64) *torch.Tensor {
	return u.Tail(s, u.Trunk(s, x, sigma, labels, len(u.output)))
}

// Features are what a trunk hands to the tail: activations (N,C,H,W), the
// embedding, the skip connections that are left, and the output block to go on from.
type Features struct {
	h, emb *torch.Tensor
	skips  []*torch.Tensor
	from   int
}

// Trunk runs the network up to output block `from`. In a scope without
// gradients it is the frozen part of a grown decoder.
func (u *UNet) Trunk(s *torch.Scope, x *torch.Tensor, sigma []float32, labels []int64, from int) Features {
	if (labels != nil) != (u.embed.label != nil) {
		panic(&torch.Error{Op: "unet", Message: fmt.Sprintf("class labels given: %t, network has classes: %t", labels != nil, u.embed.label != nil)})
	}
	argument := NoiseArgument
	if u.Argument != nil {
		argument = u.Argument
	}
	f := Features{emb: u.embed.forward(s, argument, sigma, labels)}
	h := s.ChannelsLast(x)
	for _, b := range u.input {
		h = b.forward(s, u.Recompute, f.emb, h)
		f.skips = append(f.skips, h)
	}
	f.h = u.middle.forward(s, u.Recompute, f.emb, h)
	return u.decode(s, f, from)
}

// decode runs the output blocks up to `to`, freeing what each consumes.
func (u *UNet) decode(s *torch.Scope, f Features, to int) Features {
	for _, b := range u.output[f.from:to] {
		in := []*torch.Tensor{f.h}
		if last := len(f.skips) - 1; last >= 0 {
			in = append(in, f.skips[last])
			f.skips = f.skips[:last]
		}
		f.h = b.forward(s, u.Recompute, f.emb, in...)
		s.Free(in...)
	}
	f.from = to
	return f
}

// Tail runs the output blocks that Trunk left, and the head. It consumes the
// features, which must belong to s.
func (u *UNet) Tail(s *torch.Scope, f Features) *torch.Tensor {
	return s.Local(func(c *torch.Scope) *torch.Tensor {
		h := u.decode(s, f, len(u.output)).h
		h = u.norm.Forward(c, h, torch.GroupNormOptions{SiLU: true})
		return c.To(u.conv.Forward(c, h), torch.Float32)
	})
}

// Keep moves the features out of a closing scope to its parent.
func (f Features) Keep(s *torch.Scope) Features {
	s.Keep(append([]*torch.Tensor{f.h, f.emb}, f.skips...)...)
	return f
}

// Narrow are the features of images first to first+n, of the same memory, in s.
func (f Features) Narrow(s *torch.Scope, first, n int) Features {
	skips := f.skips
	f.h, f.emb, f.skips = s.Narrow(f.h, 0, first, n), s.Narrow(f.emb, 0, first, n), nil
	for _, skip := range skips {
		f.skips = append(f.skips, s.Narrow(skip, 0, first, n))
	}
	return f
}
