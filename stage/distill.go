package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// GeneratorFile is what Distill (n=0) and the n-th growth leave: the averaged
// weights of the one-step generator.
func GeneratorFile(resolution int) string { return fmt.Sprintf("generator-%d.safetensors", resolution) }

// generatorStage names the stage that trains the generator of a resolution.
func generatorStage(resolution int) string { return fmt.Sprintf("generator-%d", resolution) }

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
	if e.finished(generatorStage(resolution), GeneratorFile(resolution)) {
		return nil
	}
	root := e.scope()
	defer root.Close()
	settings, from, kept, below := e.Config.Distill, 0, 0, TeacherFile
	if n > 0 {
		settings, below = e.Config.Grow[n-1].Distill, GeneratorFile(e.architecture(n-1).OutputSize())
		from, kept = e.Config.Trained(n)
	}
	name := generatorStage(resolution)
	t, err := newGenerator(e, root, name, c, settings, from)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.start(e.Path(below), n > 0, kept); err != nil {
		return err
	}
	if n > 0 {
		if err := t.warm(e.Path(discriminatorFile(e.architecture(n - 1).OutputSize()))); err != nil {
			return err
		}
	}
	if t.examiner, err = e.newExaminer(ctx, root, name, resolution); err != nil {
		return err
	}
	if err := e.train(ctx, name, settings.Images, t, t.work); err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	t.discriminatorParams.Save(state, "")
	if err := checkpoint.Write(e.Path(discriminatorFile(resolution)), state, nil); err != nil {
		return err
	}
	return t.saveAverage(GeneratorFile(resolution), settings.Images)
}

// start copies the network below into this one. In stage 2 that is all there is; a
// growth has new output blocks from `kept` on, and a new head.
func (t *generator) start(path string, grows bool, kept int) error {
	command := "teacher"
	if grows {
		command = "distill"
	}
	f, err := t.env.open(path, command)
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
	if !grows && f.Metadata()["sha256"] != t.pairs.Meta().TeacherSHA256 {
		return fmt.Errorf("%s: the pairs were made by another teacher than the one in %s; invert the data set again", t.name, path)
	}
	if form := below.Description.Preconditioning.Form; form != "" && form != network.EDM {
		return fmt.Errorf("%s: the teacher in %s has preconditioning %q; a generator can start from EDM's alone", t.name, path, form)
	}
	left := t.params.CopyFrom(below.Params)
	for _, name := range left {
		if !grows || !unet.Trains(name, kept) {
			return fmt.Errorf("%s: the network in %s is of another architecture: it has no %s of this shape, and %d other tensors are missing", t.name, path, name, len(left)-1)
		}
	}
	t.average.CopyFrom(t.params)
	return nil
}

// warm starts the critics from those of the stage below; one that it did not have starts anew.
func (t *generator) warm(path string) error {
	f, err := t.env.open(path, "distill")
	if err != nil {
		return fmt.Errorf("%s: the discriminator of the stage below: %w", t.name, err)
	}
	defer f.Close()
	for _, name := range t.discriminatorParams.Names() {
		stored, err := f.Tensor(name)
		if errors.Is(err, checkpoint.ErrNoTensor) {
			continue
		}
		if err == nil && !slices.Equal(stored.Shape, t.discriminatorParams.Shape(name)) {
			err = fmt.Errorf("its shape is %v, here it is %v", stored.Shape, t.discriminatorParams.Shape(name))
		}
		if err == nil {
			err = nn.Fill(t.discriminatorParams.Tensor(name), stored)
		}
		if err != nil {
			return fmt.Errorf("%s: the discriminator of the stage below: %s: %w", t.name, name, err)
		}
	}
	return nil
}
