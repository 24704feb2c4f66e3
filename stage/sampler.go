package stage

import (
	"context"
	"path/filepath"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// Sampler is a trained network of a run, ready to make the images that it is scored by.
type Sampler struct {
	network.Description
	File        string // that it comes from, in the run folder
	SHA256      string // of the file
	Evaluations int    // of the network for an image
	Precision   torch.DType
	Seed        uint64 // from which the latents follow
	model       *model
}

// Samplers are the many-step teacher and all generators of a finished run, by
// rising resolution. Their weights live in s.
func (e *Env) Samplers(s *torch.Scope) ([]*Sampler, error) {
	teacher, err := e.openTeacher(s)
	if err != nil {
		return nil, err
	}
	out := []*Sampler{e.sampler(teacher)}
	out[0].Evaluations = 2*teacher.steps - 1
	for n := range len(e.Config.Grow) + 1 {
		m, err := e.openGenerator(s, n)
		if err != nil {
			return nil, err
		}
		out = append(out, e.sampler(m))
	}
	return out, nil
}

func (e *Env) sampler(m *model) *Sampler {
	return &Sampler{m.net.Description, filepath.Base(m.path), m.sha256, 1, m.work.Compute(), e.seed("scores", "latents"), m}
}

// Pixels makes one image of each of the classes: 8 bits, (n,C,resolution,resolution).
// Image i depends on its class and its latent, of number first+i.
func (s *Sampler) Pixels(ctx context.Context, first int, classes []int64) (pixels []uint8, err error) {
	defer torch.Recover(&err)
	scope := s.model.work.Child()
	defer scope.Close()
	c := s.Architecture
	z := diffusion.Latents(scope, s.Seed, int64(first), len(classes), c.Channels(), c.InputSize(), c.InputSize())
	return s.model.generate(ctx, z, classes)
}

// TrainingImages are the first training images of every class in a shuffled order.
func (e *Env) TrainingImages(perClass int) *data.Dataset {
	order := data.NewOrder(e.Data.Len(), false, e.seed("scores", "training images"))
	taken := make([]int, len(e.Data.ClassNames))
	var chosen []int
	for i := range e.Data.Len() {
		k, _ := order.At(int64(i))
		if class := e.Data.Labels[k]; taken[class] < perClass {
			taken[class]++
			chosen = append(chosen, k)
		}
	}
	return e.Data.Select(chosen)
}
