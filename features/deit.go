package features

import (
	"fmt"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// DeiT is a distilled vision transformer (Touvron et al. 2021) whose tokens are
// reassembled to four maps, as Projected GANs do for timm's
// deit_base_distilled_patch16_224. It is a [Network].
type DeiT struct {
	vit     *ViT
	blocks  []int // whose tokens make the maps
	readout *readout
}

// LoadDeiT makes DeiT-base's encoder in s from timm's weights, in the compute dtype of s.
func LoadDeiT(s *torch.Scope, w Weights) (v *ViT, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	v = NewViT(params.Root(), DeiTBase)
	if err := load(params, w, vitUnused...); err != nil {
		return nil, err
	}
	v.settle(s)
	return v, nil
}

// NewDeiT makes at p the random convolutions that reassemble the tokens of
// DeiT-base, buffers that belong to the run. Several DeiT may share an encoder.
func NewDeiT(p nn.Path, encoder *ViT) *DeiT {
	return &DeiT{encoder, []int{2, 5, 8, 11}, newReadout(p, encoder.Config.Width, []int{96, 192, 384, 768})}
}

// DeiTBase is the encoder of deit_base_distilled_patch16_224.
var DeiTBase = ViTConfig{Width: 768, Depth: 12, Heads: 12, Patch: 16, Grid: 14, Distilled: true}

// vitUnused are the parts of timm's network behind the last block.
var vitUnused = []string{"norm.", "head.", "head_dist."}

// Channels are 96, 192, 384 and 768 for DeiT-base.
func (d *DeiT) Channels() []int { return d.readout.channels }

// Maps turns images (N,3,H,W) in [-1,1], of whole patches, into maps of sizes
// 1/4, 1/8, 1/16 and 1/32, a half rounded up.
func (d *DeiT) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	return d.maps(s, imageNet(s, x))
}

// maps is Maps for normalised images.
func (d *DeiT) maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	shape, patch := x.Shape(), d.vit.Config.Patch
	tokens := d.vit.Tokens(s, x, d.blocks)
	for i, t := range tokens {
		tokens[i] = image(s, s.Narrow(t, 1, d.vit.Special(), t.Dim(1)-d.vit.Special()), shape[2]/patch, shape[3]/patch)
	}
	return d.readout.forward(s, tokens)
}

// imageNet normalises images in [-1,1] by the mean and standard deviation of ImageNet's colours.
func imageNet(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	scale, shift := make([]float32, 3), make([]float32, 3)
	for i, c := range [3]struct{ mean, std float64 }{{0.485, 0.229}, {0.456, 0.224}, {0.406, 0.225}} {
		scale[i], shift[i] = float32(0.5/c.std), float32((0.5-c.mean)/c.std)
	}
	return s.Add(s.Mul(x, s.FromFloat32(scale, 1, 3, 1, 1)), s.FromFloat32(shift, 1, 3, 1, 1))
}

// image lays tokens (N,h·w,C) out as an image (N,C,h,w).
func image(s *torch.Scope, tokens *torch.Tensor, h, w int) *torch.Tensor {
	shape := tokens.Shape()
	return s.Permute(s.Reshape(tokens, shape[0], h, w, shape[2]), 0, 3, 1, 2)
}

// readout are the convolutions that turn images of tokens into maps of four
// scales (sony/pagoda feature_networks/vit.py): one 1×1 each, then enlarging by
// 4, by 2, nothing, and halving. They are random in the reference too, where
// nothing saves them.
type readout struct {
	channels []int
	mix      []*nn.Conv2d
	enlarge  []*nn.Conv2d // transposed, of maps 0 and 1
	halve    *nn.Conv2d   // of map 3
}

// newReadout makes the convolutions for tokens of the given width and four maps.
func newReadout(p nn.Path, width int, channels []int) *readout {
	r := &readout{channels: channels}
	for i, c := range channels {
		at := p.At(fmt.Sprintf("layer%d", i+1))
		r.mix = append(r.mix, newFixed(at.At(3), width, c, 1, torch.ConvOptions{}))
		switch i {
		case 0, 1:
			size := 4 >> i
			r.enlarge = append(r.enlarge, newFixed(at.At(4), c, c, size, torch.ConvOptions{Stride: size}))
		case 3:
			r.halve = newFixed(at.At(4), c, c, 3, torch.ConvOptions{Stride: 2, Padding: 1})
		}
	}
	return r
}

// forward turns four images of tokens (N,width,h,w) into maps of 4, 2, 1 and 1/2 times their size.
func (r *readout) forward(s *torch.Scope, tokens []*torch.Tensor) []*torch.Tensor {
	maps := make([]*torch.Tensor, len(tokens))
	for i, x := range tokens {
		maps[i] = r.mix[i].Forward(s, x)
	}
	for i, c := range r.enlarge {
		maps[i] = s.ConvTranspose2d(maps[i], c.Weight, c.Bias, c.Options)
	}
	maps[3] = r.halve.Forward(s, maps[3])
	return maps
}
