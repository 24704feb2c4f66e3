package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// DINO is ViT-S/16 trained by DINO (Caron et al. 2021), read out as StyleGAN-T
// does (Sauer et al. 2023, networks/discriminator.py). It is a [Network]: maps are
// the tokens of the patches, the class token added to each, that leave blocks 2,
// 5, 8 and 11, and last those that enter block 0.
type DINO struct{ vit *ViT }

// LoadDINO makes the network in s from the published weights
// (dino_deitsmall16_pretrain, timm's vit_small_patch16_224_dino), in the compute dtype of s.
func LoadDINO(s *torch.Scope, w Weights) (d *DINO, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	d = &DINO{NewViT(params.Root(), ViTConfig{Width: 384, Depth: 12, Heads: 6, Patch: 16, Grid: 14})}
	if err := load(params, w, "norm.", "head."); err != nil {
		return nil, err
	}
	d.vit.settle(s)
	return d, nil
}

// dinoBlocks are the blocks whose tokens are the maps.
var dinoBlocks = []int{2, 5, 8, 11, -1}

// dinoSide is the height and width at which images are seen.
const dinoSide = 224

// Channels are five times 384.
func (d *DINO) Channels() []int {
	channels := make([]int, len(dinoBlocks))
	for i := range channels {
		channels[i] = d.vit.Config.Width
	}
	return channels
}

// Maps turns images (N,3,H,W) in [-1,1] of any size, seen at 224×224, into five
// maps (N,384,14,14).
func (d *DINO) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	maps := d.vit.Tokens(s, imageNet(s, d.resize(s, x)), dinoBlocks)
	for i, t := range maps {
		maps[i] = s.Local(func(s *torch.Scope) *torch.Tensor {
			class, patches := s.Narrow(t, 1, 0, 1), s.Narrow(t, 1, 1, t.Dim(1)-1)
			grid := dinoSide / d.vit.Config.Patch
			return image(s, s.Add(patches, class), grid, grid)
		})
	}
	return maps
}

// resize averages over areas, also where it enlarges.
func (d *DINO) resize(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Resize(x, dinoSide, dinoSide, torch.Area)
}
