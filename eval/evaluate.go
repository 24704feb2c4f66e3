package eval

import (
	"context"
	"fmt"
	"runtime"

	"github.com/pagoda-go/pagoda/torch"
)

// Options say what to evaluate, and how.
type Options struct {
	Setup
	Samples string // a source, see [Open]
	Real    string // a source of real images, or an .npz file of statistics
	N       int    // samples, drawn at random where there are more; 0 means all, of a model ModelSamples
	Repeats int    // of a model, at least 1, each with the next seed
	Generation

	Sheet string // folder for a sheet of samples beside their nearest real images; empty for none
	Train string // source of the images that the model has learnt from, for the sheet; empty for Real
}

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
	model, isModel := first.(*modelSource)
	if o.Repeats > 1 && !isModel {
		_ = first.Close()
		return nil, fmt.Errorf("%s holds the same images each time: only a model can be judged %d times", o.Samples, o.Repeats)
	}
	chosen, err := subset(first, first.Info().count(o.N), o.Seed)
	if err != nil {
		_ = first.Close()
		return nil, fmt.Errorf("the samples: %w", err)
	}
	sources := []Source{chosen}
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
	if err := e.pass("").check(e.info, e.n); err != nil {
		return nil, err
	}
	real, err := e.pass("real images").openReference(ctx, e.Real, e.info)
	if err != nil {
		return nil, err
	}
	if err := e.checkSheet(real); err != nil {
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
	result, err := e.conclude(ctx, real, first, all)
	if err != nil {
		return nil, err
	}
	// The figures are there: what fails from here on takes none of them away.
	if err := result.log(); err != nil {
		result.warn("not in the run's log: %v", err)
	}
	if e.Sheet != "" {
		if err := e.sheet(ctx, samples[0], first, real, result); err != nil {
			result.warn("no sheet: %v", err)
		}
	}
	return result, nil
}

// conclude sums up repetitions; first is what the network said to the first one.
func (e *evaluation) conclude(ctx context.Context, real *reference, first collected, repetitions []figures) (*Result, error) {
	if err := e.warn(ctx, real, first); err != nil {
		return nil, err
	}
	protocol, err := e.protocol(real, len(repetitions))
	if err != nil {
		return nil, err
	}
	return &Result{Protocol: protocol, Figures: merge(repetitions), Warnings: e.warnings}, nil
}

// protocol tells how it was done.
func (e *evaluation) protocol(real *reference, repetitions int) (Protocol, error) {
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
		for i := range repetitions {
			p.Seeds = append(p.Seeds, e.Seed+uint64(i))
		}
	}
	return p, nil
}
