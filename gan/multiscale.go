package gan

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// MultiScaleD has a head on every map of one feature network (MultiScaleD of
// sony/pagoda pg_modules/discriminator.py). It is a [Discriminator].
type MultiScaleD struct{ heads []*SingleDisc }

// NewMultiScaleD makes a head for each map with the given channels and nominal
// sizes, finest first; head is what the heads share besides. Patch heads take
// every map as one of size 16.
func NewMultiScaleD(p nn.Path, channels, sizes []int, head HeadConfig) *MultiScaleD {
	d := &MultiScaleD{}
	for i := range channels {
		head.Channels, head.Size = channels[i], sizes[i]
		if head.Patch {
			head.Size = 16
		}
		d.heads = append(d.heads, NewSingleDisc(p.At("mini_discs", i), head))
	}
	return d
}

// Logits are the scores of all heads: see [Discriminator].
func (d *MultiScaleD) Logits(s *torch.Scope, maps []*torch.Tensor, labels []int64, train bool) *torch.Tensor {
	requireMaps(maps, len(d.heads))
	logits := make([]*torch.Tensor, len(d.heads))
	for i, head := range d.heads {
		logits[i] = s.Reshape(head.Forward(s, maps[i], labels, train), maps[i].Dim(0), -1)
	}
	return s.Cat(1, logits...)
}

// Embeddings are the tables (classes,EmbedDim) of the heads, for weights that
// come from elsewhere; none when the heads are unconditional.
func (d *MultiScaleD) Embeddings() []*torch.Tensor {
	var out []*torch.Tensor
	for _, head := range d.heads {
		if head.class != nil {
			out = append(out, head.class.embed.Weight)
		}
	}
	return out
}
