package stage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/torch"
)

// trainer is what differs between stages that train.
type trainer interface {
	// batch is the number of images a step sees.
	batch() int
	// step trains on one batch and returns what it measured, in order.
	step(s *torch.Scope, seen int64) []measurement
	// save and load carry everything that a step changes.
	save(state map[string]checkpoint.Tensor)
	load(f *checkpoint.File) error
}

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
func (e *Env) train(ctx context.Context, name string, total int64, t trainer, work *torch.Scope) (err error) {
	defer torch.Recover(&err)
	seen, err := e.resume(name, t)
	if err != nil {
		return err
	}
	save := func() error {
		state := map[string]checkpoint.Tensor{}
		t.save(state)
		return e.Run.SaveCheckpoint(name, seen, state, nil)
	}
	saved, start := time.Now(), time.Now()
	first := seen
	for step := seen / int64(t.batch()); seen < total; step++ {
		if ctx.Err() != nil {
			if err := save(); err != nil {
				return err
			}
			return interrupted(ctx, name)
		}
		s := work.Child()
		if step == 0 { // the work of a step is the same each time
			var flops float64
			s = s.CountFLOPs(&flops)
			values := t.step(s, seen)
			err = e.log(name, seen, append(values, measurement{"flops_per_image", s.Full(flops/float64(t.batch()), 1)}))
		} else if values := t.step(s, seen); step%logEvery == 0 {
			err = e.log(name, seen, values)
		}
		s.Close()
		if err != nil {
			return err
		}
		seen += int64(t.batch())
		rate := float64(seen-first) / time.Since(start).Seconds()
		e.progress(name, min(seen, total), total, fmt.Sprintf("%.0f img/s", rate))
		if time.Since(saved) > checkpointEvery {
			if err := save(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	if err := e.Run.Log(name, seen, map[string]float64{"seconds": time.Since(start).Seconds(), "images": float64(seen - first)}); err != nil {
		return err
	}
	return save()
}

// resume loads the newest checkpoint of a stage, if any, and drops the log lines after it.
func (e *Env) resume(name string, t trainer) (seen int64, err error) {
	c, err := e.Run.LatestCheckpoint(name)
	if errors.Is(err, checkpoint.ErrNoCheckpoint) {
		return 0, e.Run.RewindLog(name, -1)
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if c.Note != "" {
		e.progress(name, c.ImagesSeen, c.ImagesSeen, c.Note)
	}
	if err := t.load(c.File); err != nil {
		return 0, fmt.Errorf("%s: the checkpoint at %d images: %w", name, c.ImagesSeen, err)
	}
	return c.ImagesSeen, e.Run.RewindLog(name, c.ImagesSeen-1)
}

// log writes measurements to the run's log; a number that is not finite ends the training.
func (e *Env) log(name string, seen int64, values []measurement) error {
	line := map[string]float64{}
	var bad []string
	for _, m := range values {
		v := m.value.Item()
		line[m.name] = v
		if math.IsNaN(v) || math.IsInf(v, 0) {
			bad = append(bad, m.name)
		}
	}
	if len(bad) > 0 {
		slices.Sort(bad)
		return fmt.Errorf("%s diverged at %d images: %s is not a finite number; lower the learning rate (checkpoints of earlier images are kept)",
			name, seen, strings.Join(bad, ", "))
	}
	return e.Run.Log(name, seen, line)
}
