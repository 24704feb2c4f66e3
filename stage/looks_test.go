package stage

import (
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// witness is a feature network whose map is the image and that notes every image it sees.
type witness map[string]int

func (w witness) Channels() []int { return []int{3} }

func (w witness) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	for i := range x.Dim(0) {
		w[string(s.Narrow(x, 0, i, 1).Bytes(torch.Float32))]++
	}
	return []*torch.Tensor{s.Affine(x, 1, 0)}
}

// No image goes through a feature network twice in a step.
func TestImagesAreSeenOnce(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	const n = 3
	for _, c := range []struct {
		name            string
		reconstructions bool // have critics
		augment         func(purpose string) augmentation
		want            int
	}{
		{"reconstruction critics, augmented", true, func(purpose string) augmentation {
			return func(s *torch.Scope, _ int, x *torch.Tensor) *torch.Tensor {
				random := diffusion.Random(uint64(len(purpose)), 0)
				a := gan.DiffAugment{Color: true, Translation: true, Cutout: true}
				return a.Apply(s, x, a.Draw(random, x.Dim(0), 8, 8))
			}
		}, 2*n + n + n + 2*n + 2*n},
		{"samples alone, not augmented", false, func(string) augmentation { return nil }, 2*n + n + 2*n},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := torch.NewScope(testdevice.Device())
			defer root.Close()
			g := root.WithGrad()
			defer g.Close()
			seen, params := witness{}, nn.NewParams(root, 1)
			newCritic := func(name string) []critic {
				return []critic{{seen, gan.NewMultiScaleD(params.Root().At(name), seen.Channels(), []int{8}, gan.HeadConfig{}), true}}
			}
			o := &objective{distance: features.NewMetric(seen), loss: gan.Hinge, lambda: 1, balance: gan.Norms, critics: newCritic("samples")}
			if c.reconstructions {
				o.reconstructionCritics, o.reconstructionLambda = newCritic("reconstructions"), 1
			}
			random := func(i, n int) *torch.Tensor { return diffusion.Normal(root, 1, int64(100*i), n, 3, 8, 8) }
			weight := root.Full(1, 1)
			weight.RequireGrad(true)
			made, targets, labels := g.Mul(random(0, 2*n), weight), random(1, n), make([]int64, 2*n)
			o.judge(g, batch{
				images: made, targets: targets, labels: labels,
				distance: c.augment("a"), reconstructed: c.augment("bb"), sampled: c.augment("ccc"),
			}, func(dx *torch.Tensor) *torch.Tensor { return g.VJPRetain(made, dx, []*torch.Tensor{weight})[0] }, nil)
			o.discriminate(g, o.critics, random(2, n), random(3, n), labels[:n], labels[:n], c.augment("dddd"))
			if c.reconstructions {
				o.discriminate(g, o.reconstructionCritics, random(4, n), targets, labels[:n], labels[:n], c.augment("eeeee"))
			}
			total := 0
			for _, times := range seen {
				total += times
				if times > 1 {
					t.Errorf("an image is seen %d times", times)
				}
			}
			if total != c.want {
				t.Errorf("%d images are seen, want %d", total, c.want)
			}
		})
	}
}
