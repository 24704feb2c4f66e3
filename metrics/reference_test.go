package metrics

import (
	"math"
	"testing"
)

// One pass gives what the single functions give.
func TestCompareIsAllAtOnce(t *testing.T) {
	real := Answers{Features: normal(1, 300, 6, 0, 1), Logits: normal(1, 300, 3, 0, 1)}
	generated := Answers{Features: normal(2, 200, 6, 0.2, 0.9), Logits: normal(2, 200, 3, 0, 1)}
	for i := range real.Features.N {
		real.Labels = append(real.Labels, i%3)
	}
	r, err := NewReference(real, nil)
	fatal(t, err)
	c, err := r.Compare(generated, nil)
	fatal(t, err)
	if c.Diversity != nil {
		t.Error("diversity without labels")
	}
	for i := range generated.Features.N {
		generated.Labels = append(generated.Labels, i%3)
	}
	c, err = r.Compare(generated, nil)
	fatal(t, err)

	statistics, err := StatisticsOf(generated.Features)
	fatal(t, err)
	frechet, residual, err := Frechet(r.Statistics, statistics)
	fatal(t, err)
	kid, err := KID(real.Features, generated.Features)
	fatal(t, err)
	precision, recall, err := PrecisionRecall(real.Features, generated.Features, 3)
	fatal(t, err)
	density, coverage, err := DensityCoverage(real.Features, generated.Features, 5)
	fatal(t, err)
	ratios, err := Diversity(real.Features, real.Labels, generated.Features, generated.Labels, 3)
	fatal(t, err)
	for _, f := range []struct {
		name      string
		got, want float64
	}{
		{"Fréchet distance", c.Frechet, frechet}, {"residual", c.Residual, residual}, {"KID", c.KID, kid},
		{"precision", c.Precision, precision}, {"recall", c.Recall, recall},
		{"density", c.Density, density}, {"coverage", c.Coverage, coverage},
		{"diversity", c.Diversity[0], ratios[0]}, {"diversity", c.Diversity[2], ratios[2]},
	} {
		about(t, f.name, f.got, f.want, 1e-15)
	}

	generated.Labels[0], generated.Labels[3] = 1, 1
	for i := range generated.Labels {
		generated.Labels[i] = max(generated.Labels[i], 1) // class 0 is not shown at all
	}
	if c, err = r.Compare(generated, nil); err != nil || c.Diversity != nil {
		t.Errorf("diversity of a class without images: %+v, %v", c, err)
	}
}

func TestCompareRefuses(t *testing.T) {
	_, err := NewReference(Answers{Features: normal(1, 5, 3, 0, 1)}, nil)
	wantError(t, err, "have 5 vectors, at least 6 are needed")
	r, err := NewReference(Answers{Features: normal(1, 10, 3, 0, 1)}, nil)
	fatal(t, err)
	broken := normal(1, 10, 3, 0, 1)
	broken.Values[4] = float32(math.Inf(-1))
	_, err = r.Compare(Answers{Features: broken}, nil)
	wantError(t, err, "-Inf in row 1, dimension 1")
	_, err = r.Compare(Answers{Features: normal(1, 10, 4, 0, 1)}, nil)
	wantError(t, err, "3 dimensions, generated ones 4")
}
