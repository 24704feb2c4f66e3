package main

import (
	"io"

	"github.com/schollz/progressbar/v3"
)

// bar shows one stage after the other.
type bar struct {
	out   io.Writer
	stage string
	bar   *progressbar.ProgressBar
}

func newBar(out io.Writer) *bar { return &bar{out: out} }

func (b *bar) progress(stage string, done, total int64, note string) {
	if stage != b.stage || b.bar == nil {
		b.close()
		b.stage = stage
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.out),
			progressbar.OptionSetDescription(stage),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("img"),
			progressbar.OptionThrottle(200e6),
			progressbar.OptionFullWidth(),
		)
	}
	_ = b.bar.Set64(done)
	_ = note
}

func (b *bar) close() {
	if b.bar != nil {
		_ = b.bar.Exit()
		_, _ = io.WriteString(b.out, "\n")
		b.bar = nil
	}
}
