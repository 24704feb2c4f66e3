package features

import (
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// BenchmarkProjected runs eight images of 224×224 through the projected
// backbones, and, with the gradient, back to the images.
func BenchmarkProjected(b *testing.B) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	model, own := nn.NewParams(root, 1), nn.NewParams(root, 2)
	deit := NewDeiT(own.Root(), NewViT(model.Root().At("deit"), DeiTBase))
	effnet := NewEfficientNet(model.Root().At("effnet"))
	model.Freeze()
	networks := map[string]Network{
		"DeiT":         NewProjected(own.Root().At("deit"), deit),
		"EfficientNet": NewProjected(own.Root().At("effnet"), effnet.fold(root)),
	}
	for _, name := range []string{"DeiT", "EfficientNet"} {
		x := normal(root, 3, 8, 3, 224, 224)
		b.Run(name+"/forward", func(b *testing.B) {
			for b.Loop() {
				s := root.NoGrad()
				networks[name].Maps(s, x)
				s.Close()
			}
		})
		x.RequireGrad(true)
		b.Run(name+"/gradient", func(b *testing.B) {
			for b.Loop() {
				s := root.WithGrad()
				var sums []*torch.Tensor
				for _, m := range networks[name].Maps(s, x) {
					sums = append(sums, s.Reshape(s.Mean(s.Square(m)), 1))
				}
				s.Grad(s.Sum(s.Cat(0, sums...)), []*torch.Tensor{x})
				s.Close()
			}
		})
	}
}
