package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/metrics"
)

// judge computes the figures of one repetition.
func (e *evaluation) judge(real *reference, c collected) (f figures, err error) {
	net := e.Network.Info()
	m, err := real.compare(c.Answers)
	if err != nil {
		return nil, fmt.Errorf("the samples: %w", err)
	}
	key, name, kernel := "fd", "Fréchet distance", "kernel distance"
	if net.fid {
		key, name, kernel = "fid", "FID", "KID"
	}
	f.add(key, name, "lower", m.Frechet, fmt.Sprintf("residual of the square roots %.0e", m.Residual))
	if real.spatial != nil && c.spatial != nil {
		distance, residual, err := metrics.Frechet(*real.spatial, *c.spatial)
		if err != nil {
			return nil, fmt.Errorf("sFID: %w", err)
		}
		f.add("sfid", "sFID", "lower", distance, fmt.Sprintf("residual of the square roots %.0e", residual))
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

// inceptionSplit is the number of images in a split of the Inception Score.
const inceptionSplit = 5000

// addComparison adds what needs two sets of features.
func (f *figures) addComparison(kernel string, m metrics.Comparison) {
	f.add("kid", kernel, "lower", m.KID, "unbiased, whole sets")
	f.add("precision", "precision", "higher", m.Precision, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("recall", "recall", "higher", m.Recall, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("density", "density", "near 1", m.Density, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	f.add("coverage", "coverage", "higher", m.Coverage, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	if m.Diversity > 0 {
		f.add("diversity", "diversity", "near 1", m.Diversity, "within a class, real images = 1; mean over the classes")
		f.add("diversity_minimum", "least diversity", "near 1", m.DiversityMinimum, "of the least varied class")
	}
}

// fewSamples is the number below which the bias of a Fréchet distance is worth a warning.
const fewSamples = 10_000

// resamples of the bootstrap.
const resamples = 20

// warn says what is wrong with few images, with the amount of the bias where it can be estimated.
func (e *evaluation) warn(ctx context.Context, real *reference, c collected) error {
	d := e.Network.Info().Dimensions
	if real.statistics.Singular() {
		e.warnings = append(e.warnings, fmt.Sprintf("%d real images for %d features: their covariance is singular, Fréchet distances are far too high", real.statistics.N, d))
	}
	switch {
	case e.n <= d:
		e.warnings = append(e.warnings, fmt.Sprintf("%d samples for %d features: their covariance is singular, Fréchet distances are far too high; compare those of the same number of samples only", e.n, d))
	case e.n < fewSamples:
		bias, deviation, err := metrics.Bootstrap(real.statistics, c.Features, resamples, e.Seed, func() error { return context.Cause(ctx) })
		if err != nil {
			return err
		}
		e.warnings = append(e.warnings, fmt.Sprintf("fewer than %d samples: of the Fréchet distance, about %.3g is bias of their number, its deviation is %.2g (bootstrap of %d, seed %d); coverage is too low, precision and recall depend on the number as well",
			fewSamples, bias, deviation, resamples, e.Seed))
	}
	return nil
}
