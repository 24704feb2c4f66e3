package stage

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// TeacherFile is what Teacher leaves: the averaged weights of the diffusion model.
const TeacherFile = "teacher.safetensors"

// emaWarmUp lets the average of weights forget the first steps.
const emaWarmUp = 10

// Teacher is stage 1: class-conditional EDM diffusion at base resolution.
func Teacher(ctx context.Context, e *Env) (err error) {
	defer torch.Recover(&err)
	if e.finished("teacher", TeacherFile) {
		return nil
	}
	root := e.scope()
	defer root.Close()
	t, err := newTeacher(e, root)
	if err != nil {
		return err
	}
	if err := e.train(ctx, "teacher", e.Config.Teacher.Images, t, e.working(root)); err != nil {
		return err
	}
	return network.Save(e.Path(TeacherFile), t.average, network.Description{
		Stage: network.Teacher, Preset: e.Config.Name, Architecture: t.architecture,
		ClassNames: e.Data.ClassNames, MirrorClasses: e.Data.MirrorClasses, ImagesSeen: e.Config.Teacher.Images,
	})
}

// teacher trains the diffusion model.
type teacher struct {
	env             *Env
	architecture    network.Config
	net             diffusion.Network
	params, average *nn.Params
	leaves          []*torch.Tensor
	optimizer       *optim.Optimizer
	ema             *optim.EMA
	order           *data.Order
	guard
}

func newTeacher(e *Env, root *torch.Scope) (*teacher, error) {
	if n, want := len(e.Data.ClassNames), e.Config.Data.Classes; want > 0 && n != want {
		return nil, fmt.Errorf("the data has %d classes, data.classes says %d", n, want)
	}
	c := e.Config.Base().WithClasses(e.classes())
	t := &teacher{env: e, guard: e.newGuard(), architecture: c, params: nn.NewParams(root, e.seed("teacher", "weights")), average: nn.NewBlankParams(root)}
	var err error
	if t.net, err = network.New(t.params.Root(), c); err != nil {
		return nil, err
	}
	if _, err = network.New(t.average.Root(), c); err != nil {
		return nil, err
	}
	network.Recompute(t.net, e.Config.Network.Checkpointing)
	t.average.Freeze()
	t.average.CopyFrom(t.params)
	t.leaves = t.params.Trainable()
	t.optimizer = optim.New(root, t.leaves, optim.Options{Kind: optim.Kind(e.Config.Teacher.Optimizer), Beta1: 0.9, Beta2: e.Config.Teacher.Beta2, Clip: e.Config.Teacher.Clip})
	t.ema = optim.NewEMA(t.average.Tensors(), t.params.Tensors(), e.Config.Teacher.EMA, emaWarmUp)
	t.order = data.NewOrder(e.Data.Len(), e.Config.Data.Mirror, e.seed("teacher", "order"))
	return t, nil
}

// architecture is the generator after n growths, with the data's classes.
func (e *Env) architecture(n int) network.Config {
	return e.Config.Generator(n).WithClasses(e.classes())
}

// classes is the number of classes the networks are told; one class is as good as none.
func (e *Env) classes() int {
	if n := e.Data.Classes(); n > 1 {
		return n
	}
	return 0
}

func (t *teacher) batch() int { return t.env.Config.Teacher.Batch }

func (t *teacher) step(s *torch.Scope, seen int64) []measurement {
	e, c := t.env, t.env.Config.Teacher
	pixels, labels := e.Data.Gather(t.order.Batch(seen, c.Batch))
	x := images(s, e.Data, pixels, t.architecture.InputSize())
	noise := diffusion.Normal(s, e.seed("teacher", "noise"), seen, c.Batch, x.Shape()[1:]...)
	sigma := make([]float32, c.Batch)
	for i := range sigma {
		sigma[i] = diffusion.LogNormal{Mean: c.SigmaMean, Std: c.SigmaStd}.Draw(diffusion.Random(e.seed("teacher", "sigma"), seen+int64(i)))
	}
	g := s.WithGrad()
	defer g.Close()
	d := g.WithDropout(e.seed("teacher", fmt.Sprint("dropout ", seen)))
	defer d.Close()
	loss := d.Mean(diffusion.Loss(d, diffusion.Denoise(t.net, t.architecture.Labels(int64s(labels))), x, noise, sigma))
	norm := t.update(t.optimizer, g.Grad(loss, t.leaves), learningRate(c.LR, c.Decay, seen, c.Images))
	t.ema.Update(seen / int64(c.Batch))
	return []measurement{{"loss", g.Keep(g.Detach(loss))}, {"gradient", s.Full(norm, 1)}}
}

func (t *teacher) parts() []part {
	return []part{{"model.", t.params}, {"ema.", t.average}, {"optimizer.", t.optimizer}}
}
