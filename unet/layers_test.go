package unet

import (
	"reflect"
	"slices"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Settings of the reference that none of the presets has: other heads in the
// decoder, more channels out than in, a stem of its own width, resampling without parameters.
func TestRareSettings(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	c := Config{
		InputSize: 8, Channels: 3, OutChannels: 6, ModelChannels: 32, Stem: 16, EncoderMult: []float64{0.5, 1}, DecoderMult: []float64{1, 0.5, 1},
		ResBlocks: 1, Attention: []int{2}, Heads: 2, HeadsUp: 4, HeadOrder: Legacy, Groups: 8, BareResample: true, ModelChannelsHigh: 16, ResBlocksHigh: 1,
	}
	params := nn.NewParams(root, 1)
	u, err := New(params.Root(), c)
	if err != nil {
		t.Fatal(err)
	}
	heads := func(blocks ...block) (all []int) {
		for _, b := range blocks {
			for _, l := range b.layers {
				if a, ok := l.(*attention); ok {
					all = append(all, a.heads)
				}
			}
		}
		return all
	}
	if encoder, decoder := heads(append(u.input, u.middle)...), heads(u.output...); !slices.Equal(encoder, []int{2, 2}) || !slices.Equal(decoder, []int{4, 4}) {
		t.Errorf("heads %v and %v", encoder, decoder)
	}
	for name, want := range map[string][]int{
		"input_blocks.0.0.weight": {16, 3, 3, 3}, "out.2.weight": {6, 16, 3, 3},
		"input_blocks.2.0.op.weight": nil, "output_blocks.1.2.conv.weight": nil, "output_blocks.4.0.conv.weight": nil,
	} {
		if got := params.Shape(name); !slices.Equal(got, want) {
			t.Errorf("%s is %v, not %v", name, got, want)
		}
	}
	unzero(root, params)
	x := nn.NewParams(root, 9).Root().NormalBuffer("x", 1, 2, 3, 8, 8)
	y := u.Forward(root, x, []float32{1, 2}, nil)
	if got := y.Shape(); !slices.Equal(got, []int{2, 6, 16, 16}) {
		t.Errorf("the output is %v", got)
	}
	u.Argument = func(sigma float32) float32 { return NoiseArgument(sigma / 2) }
	half := u.Forward(root, x, []float32{2, 4}, nil)
	if !reflect.DeepEqual(half.Float32s(), y.Float32s()) {
		t.Error("the network does not see noise levels as it is told to")
	}
}
