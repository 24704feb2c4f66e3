package network

import (
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// The work that follows from a network's shapes is what the engine counts when it runs.
func TestWorkIsCounted(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	for name, c := range small() {
		params := nn.NewParams(root, 1)
		net, err := New(params.Root(), c)
		if err != nil {
			t.Fatal(err)
		}
		shapes, err := c.Shapes()
		if err != nil {
			t.Fatal(err)
		}
		want := shapes.Work(nil).FLOPs
		count := func(grad bool) (flops float64) {
			s := root.CountFLOPs(&flops)
			defer s.Close()
			if grad {
				s = s.WithGrad()
			}
			defer s.Close()
			diffusion.Generate(s, net, diffusion.Latents(s, 1, 0, 1, 3, 8, 8), c.Labels([]int64{1}))
			return flops
		}
		if got := count(false); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %g floating-point operations, the shapes say %g", name, got, want)
		}
		if got := count(true); got > 3*want || got < 2.9*want { // the first layer's input needs no gradient
			t.Errorf("%s: %g floating-point operations with gradients, %.3f times those without", name, got, got/want)
		}
	}
}
