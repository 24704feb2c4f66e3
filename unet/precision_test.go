package unet

import (
	"fmt"
	"testing"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// With half-precision products and float32 weights, a grown network and its
// gradients stay close to the float32 ones: on every device that has the hardware.
func TestHalfPrecision(t *testing.T) {
	info, err := torch.Describe()
	if err != nil {
		t.Fatal(err)
	}
	on := map[torch.Device][]torch.DType{}
	if torch.FastBFloat16() {
		on[torch.CPU] = []torch.DType{torch.BFloat16}
	}
	if info.CUDA > 0 {
		on[0] = []torch.DType{torch.BFloat16, torch.Float16}
	}
	if len(on) == 0 {
		t.Skip("no device with half-precision hardware")
	}
	for device, dtypes := range on {
		full := outputAndGradient(t, device, torch.Float32)
		for _, dtype := range dtypes {
			t.Run(fmt.Sprint(device, " ", dtype), func(t *testing.T) {
				half := outputAndGradient(t, device, dtype)
				for i, what := range []string{"output", "gradient"} {
					var off, size float64
					for j, want := range full[i] {
						off += float64((half[i][j] - want) * (half[i][j] - want))
						size += float64(want * want)
					}
					if relative := off / size; relative > 1e-3 || relative == 0 {
						t.Errorf("%s: squared error %g of the square", what, relative)
					}
				}
			})
		}
	}
}

func outputAndGradient(t *testing.T, device torch.Device, dtype torch.DType) [2][]float32 {
	root := torch.NewScope(device)
	defer root.Close()
	params := nn.NewParams(root, 1)
	u, err := New(params.Root(), Config{
		InputSize: 8, Channels: 3, ModelChannels: 32, EncoderMult: []float64{1, 2}, DecoderMult: []float64{1, 1, 2}, ResBlocks: 1,
		Attention: []int{2}, HeadChannels: 32, HeadOrder: Legacy, Classes: 3, FiLM: true, ResBlockScale: true, Groups: 8,
		ModelChannelsHigh: 16, ResBlocksHigh: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	unzero(root, params)
	work := root.WithCompute(dtype)
	defer work.Close()
	g := work.WithGrad()
	defer g.Close()
	x := nn.NewParams(g, 99).Root().NormalBuffer("x", 1, 2, 3, 8, 8)
	y := u.Forward(g, x, []float32{1, 2}, []int64{0, 2})
	if y.DType() != torch.Float32 {
		t.Errorf("the network answers in %v", y.DType())
	}
	grad := g.Grad(g.Mean(g.Square(y)), []*torch.Tensor{params.Tensor("input_blocks.1.0.in_layers.2.weight")})
	if grad[0].DType() != torch.Float32 {
		t.Errorf("the gradient is %v", grad[0].DType())
	}
	return [2][]float32{y.Float32s(), grad[0].Float32s()}
}

// unzero gives kernels, of which some start at zero, random values.
func unzero(s *torch.Scope, params *nn.Params) {
	for i, p := range params.Tensors() {
		if len(p.Shape()) == 4 {
			p.Copy(nn.NewParams(s, uint64(i)).Root().NormalBuffer("noise", 0.1, p.Shape()...))
		}
	}
}
