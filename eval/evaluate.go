package eval

import (
	"context"
	"fmt"
	"runtime"

	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// Options say what to evaluate, and how.
type Options struct {
	Setup
	Samples string // a source, see [Open]
	Real    string // a source of real images, or an .npz file of statistics
	N       int    // samples; 0 means all, of a model ModelSamples
	Repeats int    // of a model, at least 1, each with the next seed
	Generation

	Sheet string // folder for a sheet of samples beside their nearest real images; empty for none
	Train string // source of the images that the model has learnt from, for the sheet; empty for Real
}

// fewSamples is the number below which the bias of a Fréchet distance is worth a warning.
const fewSamples = 10_000

// resamples of the bootstrap.
const resamples = 20

// Evaluate compares samples with real images through the eyes of a network. Of
// the errors, one of the context says that the work was stopped.
func Evaluate(ctx context.Context, o Options) (*Result, error) {
	runtime.LockOSThread() // see torch.Thread
	defer runtime.UnlockOSThread()
	samples, err := openRepetitions(o)
	if err != nil {
		return nil, err
	}
	defer samples[0].Close()
	e := &evaluation{Options: o, info: samples[0].Info()}
	e.n = e.info.count(o.N)
	r, err := e.run(ctx, samples)
	if err != nil {
		return nil, o.stopped(ctx, err)
	}
	return r, nil
}

// openRepetitions opens the samples once for every repetition.
func openRepetitions(o Options) ([]Source, error) {
	if o.Repeats < 1 {
		return nil, fmt.Errorf("%d repetitions, at least 1 is needed", o.Repeats)
	}
	if o.N < 0 {
		return nil, fmt.Errorf("%d samples cannot be judged", o.N)
	}
	first, err := Open(o.Samples, o.Generation)
	if err != nil {
		return nil, fmt.Errorf("the samples: %w", err)
	}
	sources := []Source{first}
	model, isModel := first.(*modelSource)
	if o.Repeats > 1 && !isModel {
		_ = first.Close()
		return nil, fmt.Errorf("%s holds the same images each time: only a model can be judged %d times", o.Samples, o.Repeats)
	}
	for i := 1; i < o.Repeats; i++ {
		sources = append(sources, model.withSeed(o.Seed+uint64(i)))
	}
	return sources, nil
}

// evaluation is one call of Evaluate.
type evaluation struct {
	Options
	info     SourceInfo
	n        int // samples of each repetition
	warnings []string
}

func (e *evaluation) run(ctx context.Context, samples []Source) (*Result, error) {
	real, err := e.pass("real images").openReference(ctx, e.Real, e.info)
	if err != nil {
		return nil, err
	}
	var all []figures
	var first collected
	for i, source := range samples {
		c, err := e.pass("samples").collect(ctx, source, e.n)
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		f, err := e.judge(real, c)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = c
		}
		all = append(all, f)
	}
	if err := e.warn(real, first); err != nil {
		return nil, err
	}
	protocol, err := e.protocol(real, samples)
	if err != nil {
		return nil, err
	}
	result := &Result{Protocol: protocol, Figures: merge(all), Warnings: e.warnings}
	if e.Sheet != "" {
		if err := e.sheet(ctx, samples[0], first, real, result); err != nil {
			return nil, err
		}
	}
	return result, result.log()
}

// judge computes the figures of one repetition.
func (e *evaluation) judge(real *reference, c collected) (f figures, err error) {
	net := e.Network.Info()
	m, err := real.compare(c.Answers)
	if err != nil {
		return nil, fmt.Errorf("the samples: %w", err)
	}
	key, name := "fd", "Fréchet distance"
	if net.fid {
		key, name = "fid", "FID"
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
		f.addComparison(m)
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
func (f *figures) addComparison(m metrics.Comparison) {
	f.add("kid", "KID", "lower", m.KID, "unbiased, whole sets")
	f.add("precision", "precision", "higher", m.Precision, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("recall", "recall", "higher", m.Recall, fmt.Sprintf("k = %d", metrics.PrecisionRecallK))
	f.add("density", "density", "near 1", m.Density, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	f.add("coverage", "coverage", "higher", m.Coverage, fmt.Sprintf("k = %d", metrics.DensityCoverageK))
	if m.Diversity > 0 {
		f.add("diversity", "diversity", "near 1", m.Diversity, "within a class, real images = 1; mean over the classes")
		f.add("diversity_minimum", "least diversity", "near 1", m.DiversityMinimum, "of the least varied class")
	}
}

// warn says what is wrong with few images, with the amount of the bias where it can be estimated.
func (e *evaluation) warn(real *reference, c collected) error {
	d := e.Network.Info().Dimensions
	if real.statistics.Singular() {
		e.warnings = append(e.warnings, fmt.Sprintf("%d real images for %d features: their covariance is singular, Fréchet distances are far too high", real.statistics.N, d))
	}
	switch {
	case e.n <= d:
		e.warnings = append(e.warnings, fmt.Sprintf("%d samples for %d features: their covariance is singular, Fréchet distances are far too high; compare those of the same number of samples only", e.n, d))
	case e.n < fewSamples:
		bias, deviation, err := metrics.Bootstrap(real.statistics, c.Features, resamples, e.Seed)
		if err != nil {
			return err
		}
		e.warnings = append(e.warnings, fmt.Sprintf("fewer than %d samples: of the Fréchet distance, about %.3g is bias of their number, its deviation is %.2g (bootstrap of %d, seed %d); coverage is too low, precision and recall depend on the number as well",
			fewSamples, bias, deviation, resamples, e.Seed))
	}
	return nil
}

// protocol tells how it was done.
func (e *evaluation) protocol(real *reference, samples []Source) (Protocol, error) {
	engine, err := torch.Describe()
	if err != nil {
		return Protocol{}, err
	}
	net := e.Network.Info()
	p := Protocol{
		Samples: e.info, Count: e.n, Real: real.info, Network: net,
		Precision: "network float32; statistics, square roots and kernels float64; neighbours as by float64 distances",
		Engine:    fmt.Sprintf("libtorch %s on %s", engine.Version, net.Device),
	}
	if e.info.C != net.Channels {
		p.Channels = fmt.Sprintf("grey repeated to %d channels", net.Channels)
	}
	if e.info.Model != nil {
		for i := range samples {
			p.Seeds = append(p.Seeds, e.Seed+uint64(i))
		}
	}
	return p, nil
}
