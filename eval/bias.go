package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/metrics"
)

// fewSamples is the number below which the bias of a Fréchet distance is worth a warning.
const fewSamples = 10_000

// resamplesOf bounds the time of a bootstrap: each resample decomposes a matrix
// of as many rows as there are features.
func resamplesOf(features int) int {
	if features > 512 {
		return 8
	}
	return 20
}

// warnOfFew says what is wrong with few images; c is what the network said to
// the first repetition. The biases of the figures go into them, too.
func (e *evaluation) warnOfFew(ctx context.Context, r *Result, real *reference, c collected) error {
	d := e.Network.Info().Dimensions
	switch n := real.statistics.N; {
	case real.statistics.Singular():
		r.warn("%d real images for %d features: their covariance is singular, Fréchet distances are far too high", n, d)
	case n > 0 && n < fewSamples:
		r.warn("fewer than %d real images: Fréchet distances are too high, other figures depend on the number as well", fewSamples)
	}
	if e.n >= fewSamples {
		return nil
	}
	if e.n <= d {
		r.warn("%d samples for %d features: their covariance is singular, Fréchet distances are far too high; compare those of the same number of samples only", e.n, d)
	}
	for i := range r.Figures {
		if err := e.estimateBias(ctx, r, &r.Figures[i], real, c); err != nil {
			return err
		}
	}
	if real.set != nil {
		r.warn("fewer than %d samples: coverage is too low, precision and recall depend on the number as well", fewSamples)
	}
	return nil
}

// estimateBias adds the bias of a figure where it is known how to estimate it.
func (e *evaluation) estimateBias(ctx context.Context, r *Result, f *Figure, real *reference, c collected) (err error) {
	step := e.step(ctx, "bias of "+f.Key)
	b := &Bias{Seed: e.Seed}
	frechet := func(to metrics.Statistics, of metrics.Features) error {
		b.Resamples, b.AtLeast = resamplesOf(of.D), of.N <= of.D
		b.Estimate, b.Deviation, err = metrics.FrechetBias(to, of, b.Resamples, b.Seed, step)
		return err
	}
	switch f.Key {
	case "fd", "fid":
		err = frechet(real.statistics, c.Features)
	case "sfid":
		err = frechet(*real.spatial, c.spatialRows)
	case "is":
		b.Resamples = resamplesOf(c.Logits.D)
		b.Estimate, b.Deviation, err = metrics.InceptionScoreBias(c.Logits, inceptionSplit, b.Resamples, b.Seed, step)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("the bias of the %s: %w", f.Name, err)
	}
	f.Bias = b
	least := ""
	if b.AtLeast {
		least = "at least "
	}
	r.warn("fewer than %d samples: of the %s, %sabout %.3g is bias of their number, its deviation is %.2g (bootstrap of %d, seed %d)",
		fewSamples, f.Name, least, b.Estimate, b.Deviation, b.Resamples, b.Seed)
	return nil
}
