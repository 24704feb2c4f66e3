package stage

import (
	"fmt"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// examples are what a step learns to reconstruct.
type examples struct {
	latents *torch.Tensor // (r,C,h,w)
	labels  []int64
	images  *torch.Tensor  // (r,C,H,W), what the latents should become
	frozen  *unet.Features // what the frozen part made of the latents; nil when it is not known
}

// exampleSource is where they come from.
type exampleSource func(s *torch.Scope, seen int64) examples

// prior draws fresh latents z ~ N(0, SigmaMax²) and classes, as often as the data have them: a
// discriminator must not tell images by how rare their class is.
func (t *generator) prior(s *torch.Scope, purpose string, seen int64) (*torch.Tensor, []int64) {
	return t.latents(s, purpose, seen, t.settings.Batch)
}

func (t *generator) latents(s *torch.Scope, purpose string, seen int64, n int) (*torch.Tensor, []int64) {
	c := t.architecture
	z := diffusion.Latents(s, t.env.seed(t.name, "prior "+purpose), seen, n, c.Channels(), c.InputSize(), c.InputSize())
	labels := make([]int64, n)
	r := diffusion.Random(t.env.seed(t.name, "classes "+purpose), seen)
	for i := range labels {
		mirrored := t.env.Config.Data.Mirror && r.IntN(2) == 1
		labels[i] = int64(t.env.Data.Label(r.IntN(t.env.Data.Len()), mirrored))
	}
	return z, labels
}

// pairBatch is the next batch of pairs: latents, classes, and the images at output resolution.
func (t *generator) pairBatch(s *torch.Scope, seen int64) examples {
	n := t.settings.Reconstruct
	m := t.pairs.Meta()
	chosen, _ := t.pairOrder.Batch(seen/int64(t.settings.Batch)*int64(n), n)
	for i, k := range chosen {
		chosen[i] = m.Among(k, t.pairsUsed)
	}
	pixels, classes := t.env.Data.Gather(m.Of(chosen))
	return examples{
		latents: s.FromFloat32(t.pairs.Latents(chosen), n, m.C, m.H, m.W), labels: int64s(classes),
		images: images(s, t.env.Data, pixels, t.architecture.OutputSize()),
	}
}

// teacherBatch is the source of noise-to-data distillation: fresh latents, and
// what the teacher's ODE makes of them. The teacher lives in root.
func (t *generator) teacherBatch(root *torch.Scope) (exampleSource, error) {
	f, err := t.env.open(t.env.Path(TeacherFile), "teacher")
	if err != nil {
		return nil, fmt.Errorf("%s needs the teacher: %w", t.name, err)
	}
	defer f.Close()
	teacher, err := network.Load(root, f)
	if err != nil {
		return nil, err
	}
	path := diffusion.Sampling(t.env.Config.Invert.Steps)
	return func(s *torch.Scope, seen int64) examples {
		off := s.NoGrad()
		defer off.Close()
		z, labels := t.latents(off, "teacher", seen, t.settings.Reconstruct)
		x, _ := diffusion.Heun(off, teacher.Denoiser(labels), z, path, nil) // without a callback nothing fails
		off.Keep(z, x)
		return examples{latents: z, labels: labels, images: x}
	}, nil
}
