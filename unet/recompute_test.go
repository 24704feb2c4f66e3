package unet

import (
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// A grown network that computes its activations again, dropout and all, has the
// gradients of one that keeps them.
func TestRecompute(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	params := nn.NewParams(root, 1)
	u, err := New(params.Root(), Config{
		InputSize: 8, Channels: 3, ModelChannels: 32, EncoderMult: []float64{1, 2}, DecoderMult: []float64{1, 1, 2}, ResBlocks: 1,
		Attention: []int{2}, HeadChannels: 32, HeadOrder: Legacy, Classes: 3, FiLM: true, ResBlockScale: true, Groups: 8,
		ModelChannelsHigh: 16, ResBlocksHigh: 1, Dropout: 0.2,
	})
	if err != nil {
		t.Fatal(err)
	}
	unzero(root, params)
	x := make([]float32, 2*3*8*8)
	for i := range x {
		x[i] = float32(i%17)/8 - 1
	}
	run := func(recompute bool, dropout uint64) (float64, [][]float32) {
		s := root.WithGrad()
		defer s.Close()
		d := s
		if dropout != 0 {
			d = s.WithDropout(dropout)
			defer d.Close()
		}
		u.Recompute = recompute
		y := d.Mean(d.Square(u.Forward(d, d.FromFloat32(x, 2, 3, 8, 8), []float32{1, 2}, []int64{0, 2})))
		var grads [][]float32
		for _, g := range d.Grad(y, params.Trainable()) {
			grads = append(grads, g.Float32s())
		}
		return y.Item(), grads
	}
	plain, want := run(false, 5)
	again, got := run(true, 5)
	if plain != again {
		t.Errorf("the loss is %g, not %g", again, plain)
	}
	for i, name := range params.Names() { // sums of many paths may come in another order
		largest := 0.
		for _, v := range want[i] {
			largest = max(largest, math.Abs(float64(v)))
		}
		for j := range want[i] {
			if math.Abs(float64(want[i][j]-got[i][j])) > 1e-5*largest {
				t.Fatalf("gradient of %s: %g, not %g", name, got[i][j], want[i][j])
			}
		}
	}
	if other, _ := run(false, 6); other == plain {
		t.Error("dropout does not depend on its seed")
	}
	if still, _ := run(false, 0); still == plain {
		t.Error("dropout outside training, or none in it")
	}
}
