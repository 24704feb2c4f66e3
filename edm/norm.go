package edm

import (
	"fmt"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// newGroupNorm makes EDM's normalisation: groups of four channels, at most 32 of them.
func newGroupNorm(p nn.Path, channels int, eps float64) *nn.GroupNorm {
	groups := min(32, channels/4)
	if groups == 0 || channels%groups != 0 {
		panic(&torch.Error{Op: "group norm", Message: fmt.Sprintf("%d channels do not make %d equal groups of at least four", channels, max(groups, 1))})
	}
	n := nn.NewGroupNorm(p, channels, groups)
	n.Eps = eps
	return n
}
