package features

import (
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// ViTConfig is the size of a vision transformer.
type ViTConfig struct {
	Width, Depth, Heads int
	Patch               int     // side of a patch, in pixels
	Grid                int     // patches along a side of the images the positions were learnt for
	Distilled           bool    // a distillation token follows the class token
	MLP                 int     // width of the hidden layers by Width; 4 when zero
	Eps                 float64 // of LayerNorm; 1e-6 when zero
}

// ViT is the encoder of a vision transformer (Dosovitskiy et al. 2021; Touvron
// et al. 2021 with the distillation token), without the last LayerNorm and the
// heads. Parameters are named as in timm.
type ViT struct {
	Config ViTConfig

	patches   *nn.Conv2d
	special   []*torch.Tensor // class and distillation token, (1,1,Width)
	positions *torch.Tensor   // (1,len(special)+Grid²,Width)
	blocks    []*encoderBlock
}

// NewViT makes an encoder of images of three channels.
func NewViT(p nn.Path, c ViTConfig) *ViT {
	if c.MLP == 0 {
		c.MLP = 4
	}
	if c.Eps == 0 {
		c.Eps = 1e-6
	}
	v := &ViT{Config: c, special: []*torch.Tensor{p.Normal("cls_token", 0.02, 1, 1, c.Width)}}
	if c.Distilled {
		v.special = append(v.special, p.Normal("dist_token", 0.02, 1, 1, c.Width))
	}
	v.positions = p.Normal("pos_embed", 0.02, 1, len(v.special)+c.Grid*c.Grid, c.Width)
	bound, at := 1/math.Sqrt(float64(3*c.Patch*c.Patch)), p.At("patch_embed", "proj")
	v.patches = &nn.Conv2d{
		Weight:  at.Uniform("weight", bound, c.Width, 3, c.Patch, c.Patch),
		Bias:    at.Uniform("bias", bound, c.Width),
		Options: torch.ConvOptions{Stride: c.Patch},
	}
	for i := range c.Depth {
		v.blocks = append(v.blocks, newEncoderBlock(p.At("blocks", i), c))
	}
	return v
}

// settle puts the tensors into s, matrices in the compute dtype of s, so that no call has to convert them.
func (v *ViT) settle(s *torch.Scope) {
	tensors := []**torch.Tensor{&v.patches.Weight, &v.patches.Bias, &v.positions}
	for i := range v.special {
		tensors = append(tensors, &v.special[i])
	}
	for _, b := range v.blocks {
		for _, l := range []*nn.Linear{b.qkv, b.proj, b.fc1, b.fc2} {
			l.Weight = s.To(l.Weight, s.Compute())
			tensors = append(tensors, &l.Bias)
		}
		tensors = append(tensors, &b.norm1.weight, &b.norm1.bias, &b.norm2.weight, &b.norm2.bias)
	}
	for _, t := range tensors {
		*t = s.To(*t, torch.Float32)
	}
}

// Special is the number of tokens in front of those of the patches.
func (v *ViT) Special() int { return len(v.special) }

// Tokens turns normalised images (N,3,H,W) into the tokens
// (N,Special()+(H/Patch)·(W/Patch),Width) that leave the given blocks, counted
// from 0; -1 stands for those that enter block 0. Positions are resized
// bilinearly when the image's grid is not the one they were learnt for.
func (v *ViT) Tokens(s *torch.Scope, x *torch.Tensor, blocks []int) []*torch.Tensor {
	out := make([]*torch.Tensor, len(blocks))
	x = v.embed(s, x)
	for i := -1; ; i++ {
		for j, block := range blocks {
			if block == i {
				out[j] = x
			}
		}
		if i == slices.Max(blocks) {
			return out
		}
		x = v.blocks[i+1].forward(s, x)
	}
}

// embed makes the tokens of the patches, puts the special ones in front and adds the positions.
func (v *ViT) embed(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		x := v.patches.Forward(s, s.ChannelsLast(x))
		shape := x.Shape()
		n, h, w := shape[0], shape[2], shape[3]
		var tokens []*torch.Tensor
		for _, t := range v.special {
			tokens = append(tokens, s.Expand(t, n, 1, v.Config.Width))
		}
		tokens = append(tokens, s.Reshape(s.Permute(x, 0, 2, 3, 1), n, h*w, v.Config.Width))
		return s.Add(s.Cat(1, tokens...), v.positionsOf(s, h, w))
	})
}

// positionsOf are the positions of a grid of h×w patches.
func (v *ViT) positionsOf(s *torch.Scope, h, w int) *torch.Tensor {
	grid, width, special := v.Config.Grid, v.Config.Width, len(v.special)
	if h == grid && w == grid {
		return v.positions
	}
	image := s.Reshape(s.Narrow(v.positions, 1, special, grid*grid), 1, grid, grid, width)
	image = s.Resize(s.Permute(image, 0, 3, 1, 2), h, w, torch.Bilinear)
	return s.Cat(1, s.Narrow(v.positions, 1, 0, special), s.Reshape(s.Permute(image, 0, 2, 3, 1), 1, h*w, width))
}

// encoderBlock is attention and an MLP, each behind a LayerNorm and around a residual.
type encoderBlock struct {
	norm1, norm2 *layerNorm
	qkv, proj    *nn.Linear
	fc1, fc2     *nn.Linear
	heads        int
}

func newEncoderBlock(p nn.Path, c ViTConfig) *encoderBlock {
	attn, mlp := p.At("attn"), p.At("mlp")
	return &encoderBlock{
		norm1: newLayerNorm(p.At("norm1"), c.Width, c.Eps),
		qkv:   nn.NewLinear(attn.At("qkv"), c.Width, 3*c.Width),
		proj:  nn.NewLinear(attn.At("proj"), c.Width, c.Width),
		norm2: newLayerNorm(p.At("norm2"), c.Width, c.Eps),
		fc1:   nn.NewLinear(mlp.At("fc1"), c.Width, c.MLP*c.Width),
		fc2:   nn.NewLinear(mlp.At("fc2"), c.MLP*c.Width, c.Width),
		heads: c.Heads,
	}
}

// forward keeps the shape of x (N,T,Width).
func (b *encoderBlock) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		a := s.SelfAttention(b.qkv.Forward(s, b.norm1.forward(s, x)), b.heads, torch.PartsFirst)
		x := s.Add(x, b.proj.Forward(s, a))
		h := s.GELU(b.fc1.Forward(s, b.norm2.forward(s, x)))
		return s.Add(x, b.fc2.Forward(s, h))
	})
}

// layerNorm normalises the last dimension.
type layerNorm struct {
	weight, bias *torch.Tensor
	eps          float64
}

func newLayerNorm(p nn.Path, width int, eps float64) *layerNorm {
	return &layerNorm{p.Constant("weight", 1, width), p.Constant("bias", 0, width), eps}
}

func (l *layerNorm) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.LayerNorm(x, l.weight, l.bias, l.eps)
}
