package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/pagoda-go/pagoda/metrics"
)

// judge computes the figures of one repetition.
func (e *evaluation) judge(ctx context.Context, real *reference, c collected) (f figures, err error) {
	net := e.Network.Info()
	m, err := real.compare(c.Answers, e.step(ctx, "comparing"))
	if err != nil {
		return nil, fmt.Errorf("the samples: %w", err)
	}
	frechet, kernel := [2]string{"fd", "Fréchet distance"}, "kernel distance"
	if net.fid {
		frechet, kernel = [2]string{"fid", "FID"}, "KID"
	}
	f.add(frechet[0], frechet[1], "lower", m.Frechet, residualNote(m.Residual)).Residual = m.Residual
	if real.spatial != nil && c.spatial != nil {
		distance, residual, err := metrics.Frechet(*real.spatial, *c.spatial)
		if err != nil {
			return nil, fmt.Errorf("sFID: %w", err)
		}
		f.add("sfid", "sFID", "lower", distance, residualNote(residual)).Residual = residual
	}
	if net.fid && c.Logits.N > 0 {
		score, deviation, err := metrics.InceptionScore(c.Logits, inceptionSplit)
		if err != nil {
			return nil, err
		}
		f.add("is", "Inception Score", "higher", score, fmt.Sprintf("splits of %d, deviation %.3g", inceptionSplit, deviation))
	}
	if real.set != nil {
		f.addComparison(kernel, m)
	}
	if c.Labels != nil {
		accuracy, err := metrics.Accuracy(c.Logits, c.Labels)
		if err != nil {
			return nil, err
		}
		f.add("accuracy", "class accuracy", "higher", accuracy, "the network names the class that was asked for")
	}
	return f, nil
}

func residualNote(residual float64) string {
	return fmt.Sprintf("residual of the square roots %.0e", residual)
}

// inceptionSplit is the number of images in a split of the Inception Score.
const inceptionSplit = 5000

// addComparison adds what needs two sets of features.
func (f *figures) addComparison(kernel string, m metrics.Comparison) {
	f.add("kid", kernel, "lower", m.KID, "unbiased, whole sets")
	f.add("precision", "precision", "higher", m.Precision, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("recall", "recall", "higher", m.Recall, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("density", "density", "near 1", m.Density, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	f.add("coverage", "coverage", "higher", m.Coverage, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	if m.Diversity != nil {
		f.add("diversity", "diversity", "near 1", metrics.Mean(m.Diversity), "within a class, real images = 1; mean over the classes")
		f.add("diversity_minimum", "least diversity", "near 1", slices.Min(m.Diversity), "of the least varied class")
	}
}
