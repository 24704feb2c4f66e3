package metrics

import (
	"slices"
	"testing"
)

func TestAccuracy(t *testing.T) {
	logits := Features{4, 3, []float32{1, 2, 0, -1, -2, -3, 0, 0, 5, 9, 1, 1}}
	got, err := Accuracy(logits, []int{1, 0, 2, 2})
	fatal(t, err)
	about(t, "accuracy", got, 0.75, 0)
	_, err = Accuracy(logits, []int{1, 0, 2})
	wantError(t, err, "3 labels for the 4 vectors of the logits")
	_, err = Accuracy(logits, []int{1, 0, 2, 3})
	wantError(t, err, "label 3, row 3 of the logits, is not in [0,3)")
}

// Class 1 is half as varied as it should be, class 2 has collapsed.
func TestDiversity(t *testing.T) {
	real := normal(1, 60, 5, 3, 1)
	labels := make([]int, 60)
	generated := Features{60, 5, slices.Clone(real.Values)}
	for i := range labels {
		labels[i] = i % 3
		for j := range generated.Row(i) {
			generated.Row(i)[j] *= []float32{1, 0.5, 0}[i%3]
		}
	}
	ratios, err := Diversity(real, labels, generated, labels, 3)
	fatal(t, err)
	for c, want := range []float64{1, 0.5, 0} {
		about(t, "diversity", ratios[c], want, 1e-6)
	}
	_, err = Diversity(generated, labels, real, labels, 3)
	wantError(t, err, "all real features of class 2 are equal")
	_, err = Diversity(real, labels, generated, labels, 4)
	wantError(t, err, "the real set has 0 vectors of class 3")
}

func TestDiversityOfTwoPoints(t *testing.T) {
	real := Features{2, 2, []float32{0, 0, 3, 4}}
	generated := Features{3, 2, []float32{0, 0, 1, 0, 0, 0}}
	ratios, err := Diversity(real, []int{0, 0}, generated, []int{0, 0, 0}, 1)
	fatal(t, err)
	about(t, "diversity", ratios[0], 2./3/5, 1e-15)
}
