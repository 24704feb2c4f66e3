package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Projected is a feature network of Projected GANs (Sauer et al. 2021,
// F_RandomProj of sony/pagoda pg_modules/projector.py): a pretrained backbone and
// the random mixing of its maps. It is a [Network].
type Projected struct {
	backbone Network
	mixing   *Projection
}

// NewProjected makes at p the mixing of a backbone's maps to 64, 64, 128 and
// 256 channels and twice the size.
func NewProjected(p nn.Path, backbone Network) *Projected {
	return &Projected{backbone, NewProjection(p, backbone.Channels(), 64, true)}
}

// Channels are 64, 64, 128 and 256.
func (p *Projected) Channels() []int { return p.mixing.Channels() }

// Maps turns images (N,3,H,W) in [-1,1] into mixed maps. Images smaller than 256
// are seen at 224, bilinearly, larger ones as they are.
func (p *Projected) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	return p.mixing.Mix(s, p.backbone.Maps(s, Seen(s, x)))
}

// Seen are images (N,C,H,W) at the size at which a [Projected] looks at them.
func Seen(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	if x.Dim(2) < 256 {
		x = s.Resize(x, 224, 224, torch.Bilinear)
	}
	return x
}
