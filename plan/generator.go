package plan

import (
	"fmt"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/unet"
)

// size is a network's number of parameters and its work, of all and of what trains.
type size struct {
	count, trainedCount int
	all, trained        nn.Work
	between, largest    float64 // of trained.Kept: the inputs of the blocks, and the largest block's
}

// measure sizes a network that trains from output block `from` on, 0 for all of it.
func measure(a network.Config, c *config.Config, from int) (size, error) {
	shapes, err := a.WithClasses(c.Data.NetworkClasses()).Shapes()
	if err != nil {
		return size{}, err
	}
	trains := func(name string) bool { return from == 0 || unet.Trains(name, from) }
	s := size{count: shapes.Count(), all: shapes.Work(nil), trained: shapes.Work(trains)}
	s.between, s.largest = blocks(shapes, trains)
	if from == 0 {
		s.trainedCount = s.count
		return s, nil
	}
	for _, name := range shapes.Names() {
		if trains(name) {
			s.trainedCount += nn.Product(shapes.Shape(name))
		}
	}
	return s, nil
}

// generator is stage 2 (n=0) or the n-th growth.
func generator(c *config.Config, n int, at func(int) int) (Stage, error) {
	a, d, from := c.Generator(n), c.Distill, 0
	if n > 0 {
		d = c.Grow[n-1].Distill
		from, _ = c.Trained(n)
	}
	g, err := measure(a, c, from)
	if err != nil {
		return Stage{}, err
	}
	s := Stage{
		Name: fmt.Sprintf("generator-%d", a.OutputSize()), Resolution: a.OutputSize(),
		Parameters: g.count, Trained: g.trainedCount, Forward: g.all.FLOPs, Images: d.Images, Batch: at(d.Batch),
	}
	pairs := float64(d.Reconstruct) / float64(d.Batch) // for each sample
	s.FLOPs = step(g, judgeOf(c, d, s.Resolution), d, pairs, again(c))
	if d.Target == config.ToTeacher {
		teacher, err := measure(c.Base(), c, 0)
		if err != nil {
			return Stage{}, err
		}
		s.FLOPs += pairs * float64(2*c.Invert.Steps-1) * teacher.all.FLOPs
	}
	s.Memory = training(g, c, (1+pairs)*float64(s.Batch))
	return s, nil
}

// step is the work for one sample, and as many reconstructions as there are
// pairs for it. A pass back costs two forward, and so many again, but none
// through what is frozen.
func step(g size, j judge, d config.Distill, pairs, again float64) float64 {
	train := g.all.FLOPs + (backward-1+again)*g.trained.FLOPs
	judged := 2 * (j.features + j.heads)                              // there and back
	learn := g.all.FLOPs + 2*j.features + 2*float64(backward)*j.heads // the discriminator's own step, with a real image
	work := pairs * (train + 3*j.distance)                            // there and back, and the image itself
	if d.Lambda > 0 {
		work += train + judged + learn
	}
	if d.ReconstructionLambda > 0 {
		work += pairs * (judged + learn)
	}
	return work
}
