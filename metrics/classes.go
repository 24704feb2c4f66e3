package metrics

import (
	"fmt"
	"math"
)

// Accuracy is the share, in [0,1], of rows whose largest logit is at the label:
// of generated images that a classifier takes for the class they were asked to show.
func Accuracy(logits Features, labels []int) (float64, error) {
	if err := logits.check("the logits", 1); err != nil {
		return 0, err
	}
	if err := checkLabels("logits", labels, logits.N, logits.D); err != nil {
		return 0, err
	}
	correct := make([]bool, logits.N)
	for i := range correct {
		best := 0
		row := logits.Row(i)
		for c, l := range row {
			if l > row[best] {
				best = c
			}
		}
		correct[i] = best == labels[i]
	}
	return share(correct), nil
}

// Diversity tells, class by class, how varied the generated images are: the
// mean Euclidean distance between two generated vectors of the class, divided by
// the same of the real ones. About 1 is right, near 0 a collapsed class. Labels
// are in [0,classes); each class needs two vectors in both sets, and real ones that differ.
func Diversity(real Features, realLabels []int, generated Features, generatedLabels []int, classes int) ([]float64, error) {
	if err := checkPair(real, generated, 2); err != nil {
		return nil, err
	}
	spreadReal, err := spread("real", real, realLabels, classes)
	if err != nil {
		return nil, err
	}
	spreadGenerated, err := spread("generated", generated, generatedLabels, classes)
	if err != nil {
		return nil, err
	}
	ratios := make([]float64, classes)
	for c := range ratios {
		if spreadReal[c] == 0 {
			return nil, fmt.Errorf("metrics: all real features of class %d are equal", c)
		}
		ratios[c] = spreadGenerated[c] / spreadReal[c]
	}
	return ratios, nil
}

// spread is the mean distance between two vectors of the same class, for every class.
func spread(name string, f Features, labels []int, classes int) ([]float64, error) {
	if err := checkLabels(name+" set", labels, f.N, classes); err != nil {
		return nil, err
	}
	groups := make([]Features, classes)
	for i, c := range labels {
		g := &groups[c]
		g.N, g.D, g.Values = g.N+1, f.D, append(g.Values, f.Row(i)...)
	}
	out := make([]float64, classes)
	for c, g := range groups {
		if g.N < 2 {
			return nil, fmt.Errorf("metrics: the %s set has %d vectors of class %d, at least 2 are needed", name, g.N, c)
		}
		out[c] = distanceSum(g) / float64(g.N) / float64(g.N-1)
	}
	return out, nil
}

// distanceSum is the sum of the distances of all pairs, each counted in both orders.
func distanceSum(f Features) float64 {
	sum := 0.
	for i := range f.N {
		for j := range i {
			sum += 2 * math.Sqrt(squaredDistance(f.Row(i), f.Row(j)))
		}
	}
	return sum
}

func checkLabels(name string, labels []int, n, classes int) error {
	if len(labels) != n {
		return fmt.Errorf("metrics: %d labels for the %d vectors of the %s", len(labels), n, name)
	}
	for i, c := range labels {
		if c < 0 || c >= classes {
			return fmt.Errorf("metrics: label %d, row %d of the %s, is not in [0,%d)", c, i, name, classes)
		}
	}
	return nil
}
