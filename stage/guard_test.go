package stage

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// duel is a trainer of two numbers, each with an optimiser that gets the gradient 1
// or, in the steps that it is told, NaN.
type duel struct {
	guard
	numbers    [2]*torch.Tensor
	optimizers [2]*optim.Optimizer
	bad        func(step int64) [2]bool
}

func newDuel(t *testing.T, bad func(step int64) [2]bool) *duel {
	s := torch.NewScope(testdevice.Device())
	t.Cleanup(s.Close)
	d := &duel{bad: bad}
	for i := range d.numbers {
		d.numbers[i] = s.Zeros(1)
		d.optimizers[i] = optim.New(s, d.numbers[i:i+1], optim.Options{})
	}
	return d
}

func (d *duel) batch() int { return 1 }

func (d *duel) step(s *torch.Scope, seen int64) []measurement {
	for i, bad := range d.bad(seen) {
		gradient := 1.
		if bad {
			gradient = math.NaN()
		}
		d.update(d.optimizers[i], []*torch.Tensor{s.Full(gradient, 1)}, 1)
	}
	return []measurement{{"loss", s.Full(1, 1)}}
}

func (d *duel) parts() []part { return []part{{"a", d.optimizers[0]}, {"b", d.optimizers[1]}} }

// alone is a run without data, stopped once it has seen that many images; 0: never.
func alone(t *testing.T, dir string, d *duel, total, stop int64) (*Env, error) {
	t.Helper()
	run, err := checkpoint.CreateRun(dir, nil)
	if errors.Is(err, checkpoint.ErrRunExists) {
		run, err = checkpoint.OpenRun(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e := &Env{Run: run, Progress: func(_ string, seen, _ int64, _ string) {
		if stop > 0 && seen == stop {
			cancel()
		}
	}}
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	return e, e.train(ctx, "duel", total, d, s)
}

// A training is given up when one of its optimisers has had nothing to work with
// for long, however well the other fares, and the way back is named.
func TestGivenUp(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	for i, name := range []string{"generator", "discriminator"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			d := newDuel(t, func(step int64) (bad [2]bool) {
				bad[i] = step >= 30
				return bad
			})
			_, err := alone(t, dir, d, 100, 0)
			if err == nil || !strings.Contains(err.Error(), "at 49 images") || !strings.Contains(err.Error(), "no checkpoint yet") {
				t.Errorf("without a checkpoint: %v", err)
			}
			if _, err = alone(t, dir, newDuel(t, d.bad), 100, 12); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			_, err = alone(t, dir, newDuel(t, d.bad), 100, 0)
			if err == nil || !strings.Contains(err.Error(), "at 49 images") {
				t.Fatalf("with a checkpoint: %v", err)
			}
			_, path, _ := strings.Cut(err.Error(), "checkpoint, ")
			if f, err := checkpoint.OpenVerified(path); err != nil || !strings.Contains(path, "12") {
				t.Errorf("the checkpoint named is %q: %v", path, err)
			} else {
				f.Close()
			}
		})
	}
}

// A step that recovers is counted and changes nothing else, and neither do many
// that are not in a row.
func TestSkippedStep(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	for name, bad := range map[string]func(step int64) bool{
		"one":                 func(step int64) bool { return step == 15 },
		"all but the last":    func(step int64) bool { return step < mostSkipped-1 },
		"all but every tenth": func(step int64) bool { return step%10 != 0 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			d := newDuel(t, func(step int64) [2]bool { return [2]bool{bad(step), false} })
			e, err := alone(t, dir, d, 100, 0)
			if err != nil {
				t.Fatal(err)
			}
			skipped := 0.
			for step := range int64(91) { // the last line of the log
				if bad(step) {
					skipped++
				}
			}
			if got := d.numbers[1].Item(); math.Abs(got+100) > 1e-3 {
				t.Errorf("the number without bad steps is %g", got)
			}
			if got := d.numbers[0].Item(); !(got < 0 && got > -100+skipped/2) {
				t.Errorf("the number with %g bad steps is %g", skipped, got)
			}
			lines, err := e.Run.ReadLog()
			if err != nil {
				t.Fatal(err)
			}
			counted, updates := 0., 2. // in the first line
			for _, line := range lines {
				var values map[string]float64
				if err := json.Unmarshal(line.Values, &values); err != nil {
					t.Fatal(err)
				}
				if share, ok := values["skipped"]; ok {
					counted += share * updates
					updates = 2 * logEvery
				}
			}
			if math.Abs(counted-skipped) > 1e-6 {
				t.Errorf("%g steps are counted, want %g", counted, skipped)
			}
		})
	}
}
