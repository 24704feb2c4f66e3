package eval

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
)

// Options say what to evaluate, and how.
type Options struct {
	Setup
	Samples string // a source, see [Open]
	Real    string // a source of real images, or an .npz file of statistics
	N       int    // samples, drawn at random where there are more; 0 means all, of a model ModelSamples
	Repeats int    // of a model, at most MaxRepeats, each with the next seed; 0 means 1
	Generation

	Sheet string // folder for a sheet of samples beside their nearest real images; empty for none
	Train string // source of the images that the model has learnt from, for the sheet; empty for Real
}

// MaxRepeats is how often a model is judged at most.
const MaxRepeats = 1000

// Evaluate compares samples with real images through the eyes of a network. Of
// the errors, one of the context says that the work was stopped. With the error
// of a sheet that cannot be written comes the result, which is complete.
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
		return r, o.stopped(ctx, err)
	}
	return r, nil
}

// openRepetitions opens the samples once for every repetition.
func openRepetitions(o Options) ([]Source, error) {
	if o.Repeats = cmp.Or(o.Repeats, 1); o.Repeats < 1 || o.Repeats > MaxRepeats {
		return nil, fmt.Errorf("a model cannot be judged %d times, but 1 to %d", o.Repeats, MaxRepeats)
	}
	if o.N < 0 {
		return nil, fmt.Errorf("%d samples cannot be judged", o.N)
	}
	first, err := Open(o.Samples, o.Generation)
	if err != nil {
		return nil, fmt.Errorf("the samples: %w", err)
	}
	model, isModel := first.(seeded)
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
	info SourceInfo
	n    int // samples of each repetition
}

func (e *evaluation) run(ctx context.Context, samples []Source) (*Result, error) {
	if err := e.pass("").check(e.info, e.n); err != nil {
		return nil, err
	}
	if err := e.makeSheetFolder(); err != nil {
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
		f, err := e.judge(ctx, real, c)
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
			return result, fmt.Errorf("no sheet: %w", err)
		}
	}
	return result, nil
}

// conclude sums up repetitions; first is what the network said to the first one.
func (e *evaluation) conclude(ctx context.Context, real *reference, first collected, repetitions []figures) (*Result, error) {
	protocol, err := e.protocol(real, len(repetitions))
	if err != nil {
		return nil, err
	}
	r := &Result{Protocol: protocol, Figures: merge(repetitions)}
	return r, e.warnOfFew(ctx, r, real, first)
}

// protocol tells how it was done.
func (e *evaluation) protocol(real *reference, repetitions int) (Protocol, error) {
	p, err := protocolOf(e.info, e.n, e.Network.Info())
	if err != nil {
		return p, err
	}
	p.Real = &real.info
	p.Precision += "; square roots and kernels float64; neighbours as by float64 distances"
	if e.info.Model != nil {
		for i := range repetitions {
			p.Seeds = append(p.Seeds, e.Seed+uint64(i))
		}
	}
	return p, nil
}

// protocolOf tells how n images were shown to a network for their statistics.
func protocolOf(info SourceInfo, n int, net NetworkInfo) (p Protocol, err error) {
	p = Protocol{Samples: info, Count: n, Network: &net, Precision: "network float32; statistics float64"}
	if info.C != net.Channels {
		p.Channels = fmt.Sprintf("grey repeated to %d channels", net.Channels)
	}
	p.Engine, err = engine(net.Device)
	return p, err
}
