package stage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// trainer is what differs between stages that train.
type trainer interface {
	// batch is the number of images a step sees.
	batch() int
	// step trains on one batch and returns what it measured, in order.
	step(s *torch.Scope, seen int64) []measurement
	// parts are everything that a step changes.
	parts() []part
	// err tells that training has come to nothing, shares what else is to be logged.
	err() error
	shares() map[string]float64
	lossScale() *optim.LossScale
}

// part is something that a training changes: weights, or an optimiser's state. In
// a checkpoint its names have a prefix.
type part struct {
	prefix string
	state  interface {
		Save(state map[string]checkpoint.Tensor, prefix string)
		Load(f checkpoint.Source, prefix string) error
	}
}

// allParts are a trainer's parts and its loss scale.
func allParts(t trainer) []part { return append(t.parts(), part{"loss_scale", t.lossScale()}) }

type measurement struct {
	name  string
	value *torch.Tensor // one number
}

const (
	checkpointEvery = time.Minute
	logEvery        = 10 // steps
)

// train runs a trainer until it has seen the given number of images, going on
// from the newest checkpoint. It saves every minute, when ctx is cancelled and
// at the end. The work scope frees each step's tensors.
//
// It stays on one thread: libtorch adds up gradients in the order in which their
// operators were recorded, which it counts for each thread on its own.
func (e *Env) train(ctx context.Context, name string, total int64, t trainer, work *torch.Scope) (err error) {
	defer torch.Recover(&err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	seen, err := e.resume(name, total, t)
	if err != nil {
		return err
	}
	saved, savedAt := seen, time.Now()
	save := func() error {
		if err := e.logTime(name, seen, seen-saved, time.Since(savedAt)); err != nil {
			return err
		}
		state := map[string]checkpoint.Tensor{}
		for _, p := range allParts(t) {
			p.state.Save(state, p.prefix)
		}
		saved, savedAt = seen, time.Now()
		return e.Run.SaveCheckpoint(name, seen, state)
	}
	for step := seen / int64(t.batch()); seen < total; step++ {
		if ctx.Err() != nil {
			if err := save(); err != nil {
				return err
			}
			return interrupted(ctx, name)
		}
		if err := e.step(name, step, seen, t, work); err != nil {
			return err
		}
		if err := t.err(); err != nil {
			return fmt.Errorf("%s is given up at %d images: %w; lower the learning rate, then %s", name, seen, err, e.wayBack(name))
		}
		seen += int64(t.batch())
		note := ""
		if x, ok := t.(examined); ok {
			if note, err = x.examine(seen); err != nil {
				return err
			}
		}
		e.progress(name, min(seen, total), total, note)
		if time.Since(savedAt) > checkpointEvery {
			if err := save(); err != nil {
				return err
			}
		}
	}
	return save()
}

// step does one step and logs what it measured, if its turn has come; the first
// one's work is counted, being that of every other.
func (e *Env) step(name string, step, seen int64, t trainer, work *torch.Scope) error {
	var flops float64
	s := work.WithLossScale(t.lossScale().Factor())
	if step == 0 {
		s = s.CountFLOPs(&flops)
	}
	defer s.Close()
	values := t.step(s, seen)
	t.lossScale().Adjust()
	if step == 0 {
		values = append(values, measurement{"flops_per_image", s.Full(flops/float64(t.batch()), 1)})
	}
	if step%logEvery != 0 {
		return nil
	}
	line := t.shares()
	for _, m := range values {
		line[m.name] = m.value.Item()
	}
	return e.log(name, seen+int64(t.batch()), line)
}

// logTime logs the time that a number of images has taken; a stage's lines add up.
func (e *Env) logTime(name string, seen, images int64, took time.Duration) error {
	if images == 0 {
		return nil
	}
	return e.Run.Log(name, seen, map[string]float64{"seconds": took.Seconds(), "images": float64(images)})
}

// resume loads the newest checkpoint of a stage, if any, and drops the log lines after it.
func (e *Env) resume(name string, total int64, t trainer) (seen int64, err error) {
	c, err := e.Run.LatestCheckpoint(name)
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		e.progress(name, 0, total, "")
		return 0, e.Run.RewindLog(name, -1)
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	e.progress(name, min(c.ImagesSeen, total), total, c.Note)
	for _, p := range allParts(t) {
		if err := p.state.Load(c.File, p.prefix); err != nil {
			return 0, fmt.Errorf("%s: the checkpoint at %d images: %w", name, c.ImagesSeen, err)
		}
	}
	return c.ImagesSeen, e.Run.RewindLog(name, c.ImagesSeen)
}

// wayBack says from where a stage that was given up can go on.
func (e *Env) wayBack(name string) string {
	c, err := e.Run.LatestCheckpoint(name)
	switch {
	case errors.Is(err, checkpoint.ErrNoCheckpoint):
		return "start the stage again: it has saved no checkpoint yet"
	case err != nil:
		return fmt.Sprintf("start the stage again: %v", err)
	}
	defer c.Close()
	return "go on from the last good checkpoint, " + c.Path
}

// log writes a line of the run's log, leaving out what is not finite: it belongs
// to a skipped update.
func (e *Env) log(name string, seen int64, line map[string]float64) error {
	maps.DeleteFunc(line, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return e.Run.Log(name, seen, line)
}
