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
	losses          map[string]plotter.XYs
	last            map[string]float64 // the newest value of everything else
}

const flopsKey = "flops_per_image"

// lossNames are the values that the curves show.
var lossNames = []string{"loss", "reconstruction", "adversarial", "discriminator"}

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
			t = &trace{losses: map[string]plotter.XYs{}, last: map[string]float64{}}
			traces[line.Stage] = t
		}
		t.add(float64(line.ImagesSeen), values)
	}
	return traces, nil
}

func (t *trace) add(seen float64, values map[string]float64) {
	t.seconds += values["seconds"]
	t.images += values["images"]
	for _, name := range lossNames {
		if v, ok := values[name]; ok {
			t.losses[name] = append(t.losses[name], plotter.XY{X: seen, Y: v})
		}
	}
	maps.Copy(t.last, values)
}
