package report

import (
	"encoding/json"
	"fmt"
	"maps"

	"gonum.org/v1/plot/plotter"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// trace is what one stage has logged.
type trace struct {
	seconds, images float64 // of all its sessions
	values          map[string]plotter.XYs
	shares          map[string]share   // of what shareNames says
	last            map[string]float64 // the newest value of everything
	sharedAt        float64            // images seen at the newest line with shares
}

// share is a part of a whole, both in images; nothing of nothing when it was not logged.
type share struct{ part, whole float64 }

func (s share) add(other share) share { return share{s.part + other.part, s.whole + other.whole} }

// String is the share in per cent.
func (s share) String() string {
	if s.whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*s.part/s.whole)
}

const flopsKey = "flops_per_image"

// The shares of updates that were skipped and of weights of losses that were at
// their bounds, since the line before.
const skippedKey, clampedKey = "skipped", "clamped"

// readLog sorts a run's log by stage.
func readLog(run *checkpoint.Run) (map[string]*trace, error) {
	lines, err := run.ReadLog()
	if err != nil {
		return nil, err
	}
	traces := map[string]*trace{}
	for _, line := range lines {
		values := map[string]float64{}
		if err := json.Unmarshal(line.Values, &values); err != nil {
			return nil, fmt.Errorf("the log of %s: %w", line.Stage, err)
		}
		t := traces[line.Stage]
		if t == nil {
			t = &trace{values: map[string]plotter.XYs{}, shares: map[string]share{}, last: map[string]float64{}}
			traces[line.Stage] = t
		}
		t.add(float64(line.ImagesSeen), values)
	}
	return traces, nil
}

func (t *trace) add(seen float64, values map[string]float64) {
	t.seconds += values["seconds"]
	t.images += values["images"]
	for name, v := range values {
		t.values[name] = append(t.values[name], plotter.XY{X: seen, Y: v})
	}
	for _, name := range []string{skippedKey, clampedKey} {
		if v, ok := values[name]; ok {
			images := seen - t.sharedAt
			t.shares[name] = t.shares[name].add(share{v * images, images})
		}
	}
	if _, ok := values[skippedKey]; ok {
		t.sharedAt = seen
	}
	maps.Copy(t.last, values)
}
