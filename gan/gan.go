// Package gan has the adversarial part of training: differentiable
// augmentation, discriminators on frozen features, losses and their weight.
package gan

import (
	"fmt"

	"github.com/pagoda-go/pagoda/torch"
)

// Discriminator judges images by the maps of a frozen feature network.
type Discriminator interface {
	// Logits maps feature maps (N,C,H,W), finest first, and classes (N) to
	// realness scores (N,L), float32: L positions over all maps. Train makes one
	// power iteration of every spectral norm and, where there is BatchNorm,
	// normalises by the batch and updates the running statistics.
	Logits(s *torch.Scope, maps []*torch.Tensor, labels []int64, train bool) *torch.Tensor
}

// requireMaps panics with an error that can be recovered unless every head has its map.
func requireMaps(maps []*torch.Tensor, heads int) {
	if len(maps) != heads {
		panic(&torch.Error{Op: "discriminator", Message: fmt.Sprintf("%d feature maps for %d heads", len(maps), heads)})
	}
}
