package stage

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// GeneratorFile is what Distill (n=0) and the n-th growth leave: the averaged
// weights of the one-step generator.
func GeneratorFile(resolution int) string { return fmt.Sprintf("generator-%d.safetensors", resolution) }

// discriminatorFile is the discriminator at the end of a stage, from which the next one's starts.
func discriminatorFile(resolution int) string {
	return fmt.Sprintf("discriminator-%d.safetensors", resolution)
}

// Distill is stage 2: the one-step generator at base resolution, which starts
// as a copy of the teacher and trains whole.
func Distill(ctx context.Context, e *Env) error { return e.adversarial(ctx, 0) }

// Grow is stage 3: the n-th growth, counted from 1. Blocks below are copied and
// frozen; the new ones, the previous highest-resolution ones and the head train.
func Grow(ctx context.Context, e *Env, n int) error { return e.adversarial(ctx, n) }

// adversarial runs stage 2 (n=0) or growth n of stage 3.
func (e *Env) adversarial(ctx context.Context, n int) (err error) {
	defer torch.Recover(&err)
	c := e.architecture(n)
	resolution := c.OutputSize()
	if e.done(GeneratorFile(resolution)) {
		return nil
	}
	root := e.scope()
	defer root.Close()
	settings, from, below := e.Config.Distill, 0, TeacherFile
	if n > 0 {
		growth := e.Config.Grow[n-1]
		settings, from = growth.Distill, growth.ActivateFrom
		if from == 0 {
			from = c.ADM.ActivateFrom()
		}
		below = GeneratorFile(e.architecture(n - 1).OutputSize())
	}
	name := fmt.Sprintf("generator-%d", resolution)
	t, err := newGenerator(e, root, name, c, settings, from)
	if err != nil {
		return err
	}
	defer t.work.Close()
	if err := t.start(e.Path(below), n); err != nil {
		return err
	}
	if n > 0 {
		if err := t.warm(e.Path(discriminatorFile(e.architecture(n - 1).OutputSize()))); err != nil {
			return err
		}
	}
	if err := e.train(ctx, name, settings.Images, t, t.work); err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	t.discriminatorParams.Save(state, "")
	if err := checkpoint.Write(e.Path(discriminatorFile(resolution)), state, nil); err != nil {
		return err
	}
	return network.Save(e.Path(GeneratorFile(resolution)), t.average, network.Description{
		Stage: network.Generator, Preset: e.Config.Name, Architecture: c,
		ClassNames: e.Data.ClassNames, ImagesSeen: settings.Images,
	}, false)
}

// start copies the network below into this one; what is new keeps its initial
// values. A growth leaves a new head and the blocks above, stage 2 nothing.
func (t *generator) start(path string, growth int) error {
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		return fmt.Errorf("%s needs the network below: %w", t.name, err)
	}
	defer f.Close()
	s := torch.NewScope(t.env.Device)
	defer s.Close()
	below, err := network.Load(s, f)
	if err != nil {
		return err
	}
	if form := below.Description.Preconditioning.Form; form != "" && form != network.EDM {
		return fmt.Errorf("%s: the teacher in %s has preconditioning %q; a generator can start from EDM's alone", t.name, path, form)
	}
	left := t.params.CopyFrom(below.Params)
	if growth == 0 && len(left) > 0 {
		return fmt.Errorf("%s: the teacher in %s is of another architecture: it lacks %d of the generator's tensors, the first is %s", t.name, path, len(left), left[0])
	}
	for _, name := range left {
		if !unet.Trains(name, t.architecture.ADM.ActivateFrom()) {
			return fmt.Errorf("%s: the generator in %s is of another architecture: it lacks %s", t.name, path, name)
		}
	}
	t.average.CopyFrom(t.params)
	return nil
}

// warm starts the discriminator from that of the stage below.
func (t *generator) warm(path string) error {
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		return fmt.Errorf("%s: the discriminator of the stage below: %w", t.name, err)
	}
	defer f.Close()
	return t.discriminatorParams.Load(f, "")
}
