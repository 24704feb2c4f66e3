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
		r.Warnings = append(r.Warnings, "not in the run's log, since another process works in the folder")
		return nil
	case err != nil:
		return err
	}
	values := map[string]float64{"samples": float64(r.Protocol.Count), "repeats": float64(len(r.Protocol.Seeds)), "seed": float64(r.Protocol.Seeds[0])}
	for _, f := range r.Figures {
		values[r.Protocol.Network.Name+"."+f.Key] = f.Mean
	}
	return errors.Join(run.Log(logStage, m.ImagesSeen, values), run.Close())
}
