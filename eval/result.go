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
	Figures  []Figure `json:"figures,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // what a reader of the figures must know
}

// Protocol says how the figures of a result came about.
type Protocol struct {
	Samples   SourceInfo   `json:"samples"`         // the images that were judged
	Count     int          `json:"count"`           // of samples that were judged, for each seed
	Seeds     []uint64     `json:"seeds,omitempty"` // of a model, one for each repetition
	Real      *RealInfo    `json:"real,omitempty"`  // nil where nothing is compared
	Network   *NetworkInfo `json:"network,omitempty"`
	Channels  string       `json:"channels,omitempty"` // what was done about images of other channels than the network's
	Precision string       `json:"precision"`          // of what was computed
	Engine    string       `json:"engine"`             // that computed, and where
}

// RealInfo describes what samples are compared with.
type RealInfo struct {
	Source     *SourceInfo `json:"source,omitempty"`     // of the images or features; nil when there are statistics only
	Count      int         `json:"count"`                // of images; 0 when unknown
	Statistics string      `json:"statistics,omitempty"` // where mean and covariance come from; empty where none are needed
}

// Figure is one number of a result, in one or several repetitions.
type Figure struct {
	Key      string    `json:"key"`    // names it for machines
	Name     string    `json:"name"`   // and for people
	Better   string    `json:"better"` // "lower", "higher" or "near 1"
	Values   []float64 `json:"values"` // one for each seed
	Min      float64   `json:"min"`    // of the values
	Mean     float64   `json:"mean"`
	Max      float64   `json:"max"`
	Residual float64   `json:"residual,omitempty"` // of matrix square roots, the largest: 1e-14 is right, 1e-6 a reason for doubt
	Bias     *Bias     `json:"bias,omitempty"`     // of few samples, in the first repetition; nil when there are enough
	Note     string    `json:"note,omitempty"`     // how it is defined
}

// Bias is what the number of samples adds to a figure, estimated by bootstrap.
type Bias struct {
	Estimate  float64 `json:"estimate"`           // to be subtracted
	AtLeast   bool    `json:"at_least,omitempty"` // the true one may be larger: there are fewer samples than features
	Deviation float64 `json:"deviation"`          // standard deviation of the figure
	Resamples int     `json:"resamples"`          // of the bootstrap
	Seed      uint64  `json:"seed"`               // of the bootstrap
}

// figures gathers the figures of one repetition.
type figures []Figure

func (f *figures) add(key, name, better string, value float64, note string) *Figure {
	*f = append(*f, Figure{Key: key, Name: name, Better: better, Values: []float64{value}, Note: note})
	return &(*f)[len(*f)-1]
}

// merge sums up repetitions: the figures that all of them have.
func merge(repetitions []figures) []Figure {
	var out []Figure
	for _, f := range repetitions[0] {
		f.Values = slices.Clone(f.Values)
		for _, other := range repetitions[1:] {
			if i := find(other, f.Key); i >= 0 {
				f.Values = append(f.Values, other[i].Values...)
				f.Residual = max(f.Residual, other[i].Residual)
			}
		}
		if len(f.Values) < len(repetitions) {
			continue
		}
		f.Min, f.Mean, f.Max = slices.Min(f.Values), metrics.Mean(f.Values), slices.Max(f.Values)
		out = append(out, f)
	}
	return out
}

func find(list []Figure, key string) int {
	return slices.IndexFunc(list, func(f Figure) bool { return f.Key == key })
}

func (r *Result) warn(format string, values ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, values...))
}

// Figure finds a figure by its key; NaN values when there is none.
func (r *Result) Figure(key string) Figure {
	if i := find(r.Figures, key); i >= 0 {
		return r.Figures[i]
	}
	return Figure{Key: key, Min: math.NaN(), Mean: math.NaN(), Max: math.NaN()}
}
