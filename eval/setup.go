package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/metrics"
)

// Setup says through which eyes images are seen.
type Setup struct {
	Network  Network
	Cache    string   // folder for features, from which a stopped evaluation goes on; empty for none
	Progress Progress // nil for none
}

// Progress is told how many images have been seen in a part of the work.
type Progress func(part string, done, total int64, note string)

// ModelSamples is the number of images that a model makes when no other is asked for.
const ModelSamples = 10_000

// count is the number of images to take when n are asked for, 0 meaning all.
func (i SourceInfo) count(n int) int {
	switch {
	case n > 0:
		return n
	case i.Model != nil:
		return ModelSamples
	}
	return i.N
}

// pass is a new pass whose progress counts the images of one part of the work.
func (s Setup) pass(part string) *pass {
	p := &pass{net: s.Network, cache: s.Cache, begin: func(int) {}, seen: func(int) {}, step: s.step}
	if s.Progress != nil {
		done, total := int64(0), int64(0)
		p.begin = func(n int) { done, total = 0, int64(n); s.Progress(part, 0, total, "") }
		p.seen = func(n int) { done += int64(n); s.Progress(part, done, total, "") }
	}
	return p
}

// step tells how far a comparison is, in images, and ends it when the context does.
func (s Setup) step(ctx context.Context, part string) metrics.Step {
	return func(done, total int) error {
		if s.Progress != nil {
			s.Progress(part, int64(done), int64(total), "")
		}
		return context.Cause(ctx)
	}
}

// stopped says, of an error that came of an interruption, how to go on.
func (s Setup) stopped(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case s.Cache == "":
		return fmt.Errorf("stopped; with a cache of features it could go on: %w", err)
	}
	return fmt.Errorf("stopped; the same command goes on from the features in %s: %w", s.Cache, err)
}
