package eval

import (
	"fmt"
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/metrics"
)

// Result is what an evaluation found out, and how.
type Result struct {
	Protocol Protocol `json:"protocol"`
	Figures  []Figure `json:"figures"`
	Warnings []string `json:"warnings,omitempty"` // what a reader of the figures must know
}

// Protocol says how the figures of a result came about.
type Protocol struct {
	Samples   SourceInfo  `json:"samples"`
	Count     int         `json:"count"`           // of samples that were judged, for each seed
	Seeds     []uint64    `json:"seeds,omitempty"` // of a model, one for each repetition
	Real      RealInfo    `json:"real"`
	Network   NetworkInfo `json:"network"`
	Channels  string      `json:"channels,omitempty"` // what was done about images of other channels than the network's
	Precision string      `json:"precision"`
	Engine    string      `json:"engine"`
}

// RealInfo describes what samples are compared with.
type RealInfo struct {
	Source     *SourceInfo `json:"source,omitempty"` // of the images or features; nil when there are statistics only
	Count      int         `json:"count"`            // of images; 0 when unknown
	Statistics string      `json:"statistics"`       // where mean and covariance come from
}

// Figure is one number of a result, in one or several repetitions.
type Figure struct {
	Key    string    `json:"key"`
	Name   string    `json:"name"`
	Better string    `json:"better"` // "lower", "higher" or "near 1"
	Values []float64 `json:"values"` // one for each seed
	Min    float64   `json:"min"`
	Mean   float64   `json:"mean"`
	Max    float64   `json:"max"`
	Note   string    `json:"note,omitempty"`
}

// figures gathers the figures of one repetition.
type figures []Figure

func (f *figures) add(key, name, better string, value float64, note string) {
	*f = append(*f, Figure{Key: key, Name: name, Better: better, Values: []float64{value}, Note: note})
}

// merge sums up repetitions, each of the same figures.
func merge(repetitions []figures) []Figure {
	out := slices.Clone(repetitions[0])
	for i := range out {
		f := &out[i]
		for _, other := range repetitions[1:] {
			f.Values = append(f.Values, other[i].Values...)
		}
		f.Min, f.Mean, f.Max = slices.Min(f.Values), metrics.Mean(f.Values), slices.Max(f.Values)
	}
	return out
}

func (r *Result) warn(format string, values ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, values...))
}

// Figure finds a figure by its key; NaN values when there is none.
func (r *Result) Figure(key string) Figure {
	if i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Key == key }); i >= 0 {
		return r.Figures[i]
	}
	return Figure{Key: key, Min: math.NaN(), Mean: math.NaN(), Max: math.NaN()}
}
