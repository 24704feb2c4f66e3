// Package features has the frozen networks through whose eyes images are
// compared: by the reconstruction loss and by the discriminator. It also has
// the small classifiers that take their place, and score results, where no
// pretrained network fits the data.
package features

import "github.com/pagoda-go/pagoda/torch"

// Network is a frozen feature network.
type Network interface {
	// Maps turns images (N,C,H,W) in [-1,1] into feature maps (N,Channels()[i],h,w), finest first.
	Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor
	// Channels are the widths of the maps.
	Channels() []int
}
