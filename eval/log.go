package eval

import (
	"errors"
	"path/filepath"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// logStage is the name that evaluations have in a run's log.
const logStage = "eval"

// log appends a line to the log of the run that the model's file lies in: the
// mean of every figure, under the network's name and the figure's key. Outside a
// run nothing happens; a run that is training is left alone, with a warning.
func (r *Result) log() error {
	m := r.Protocol.Samples.Model
	if m == nil || m.File == "" {
		return nil
	}
	run, err := checkpoint.OpenRun(filepath.Dir(m.File))
	switch {
	case errors.Is(err, checkpoint.ErrNoRun):
		return nil
	case errors.Is(err, checkpoint.ErrLocked):
		r.warn("not in the run's log, since another process works in the folder")
		return nil
	case err != nil:
		return err
	}
	return errors.Join(run.Log(logStage, m.ImagesSeen, r.values()), run.Close())
}

// values are what the log holds of a model's result.
func (r *Result) values() map[string]any {
	p := r.Protocol
	values := map[string]any{"resolution": p.Samples.H, "samples": p.Count, "repeats": len(p.Seeds), "seed": p.Seeds[0]}
	for _, f := range r.Figures {
		values[p.Network.Name+"."+f.Key] = f.Mean
	}
	return values
}
