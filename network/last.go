package network

import (
	"strings"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// LastConvolution is the kernel of the last convolution of the last residual block
// of a network, where the gradients of losses are compared (sony/pagoda
// cm/karras_diffusion.py, get_last_layer).
func LastConvolution(params *nn.Params) *torch.Tensor {
	last := ""
	for _, name := range params.Names() {
		adm := strings.HasPrefix(name, "output_blocks.") && strings.HasSuffix(name, ".out_layers.3.weight")
		edm := strings.HasPrefix(name, "dec.") && strings.HasSuffix(name, ".conv1.weight")
		if adm || edm {
			last = name
		}
	}
	return params.Tensor(last)
}
