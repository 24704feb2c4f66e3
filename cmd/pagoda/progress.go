package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows one stage after the other: as a bar on a terminal, elsewhere as a
// line every ten seconds.
type bar struct {
	out   io.Writer
	every time.Duration
	bar   *progressbar.ProgressBar // nil elsewhere

	stage string
	first int64 // images before this process
	start time.Time
	shown time.Time
}

func newBar(out *os.File) *bar {
	b := &bar{out: out, every: 10 * time.Second}
	if term.IsTerminal(int(out.Fd())) {
		b.every = time.Second / 5
		b.bar = progressbar.NewOptions64(1,
			progressbar.OptionSetWriter(out), progressbar.OptionFullWidth(),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	}
	return b
}

// progress is a stage.Progress.
func (b *bar) progress(stage string, done, total int64, note string) {
	if total == 0 { // there is nothing to do
		fmt.Fprintf(b.out, "%s: %s\n", stage, note)
		return
	}
	now := time.Now()
	if note != "" {
		fmt.Fprintf(b.out, "%s: %s\n", stage, note)
		if stage != b.stage && done >= total {
			return // a word after the end
		}
	}
	if stage != b.stage {
		b.close()
		b.stage, b.first, b.start, b.shown = stage, done, now, now
		if b.bar != nil {
			b.bar.Reset()
			b.bar.ChangeMax64(total)
		}
	}
	if done < total && now.Sub(b.shown) < b.every {
		return
	}
	b.shown = now
	text := fmt.Sprintf("%-12s %s", stage, pace(done-b.first, total-done, now.Sub(b.start)))
	if b.bar == nil {
		fmt.Fprintf(b.out, "%s %3d %%\n", text, 100*done/max(total, 1))
	} else {
		b.bar.Describe(text)
		_ = b.bar.Set64(done)
	}
	if done >= total {
		b.close()
	}
}

// pace tells the rate of the images done and the time for those left, or, when
// none is left, the time it took.
func pace(done, left int64, took time.Duration) string {
	switch {
	case left <= 0:
		return fmt.Sprintf("%s %8s     ", rate(done, took), took.Round(time.Second))
	case done <= 0:
		return fmt.Sprintf("%26s", "")
	}
	seconds := float64(left) / float64(done) * took.Seconds()
	remaining := fmt.Sprintf("%.0fh", seconds/3600)
	if seconds < 100*3600 { // more could also be too much for a Duration
		remaining = time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
	}
	return fmt.Sprintf("%s %8s left", rate(done, took), remaining)
}

// rate is images a second or, when that is less than one, seconds an image.
func rate(images int64, took time.Duration) string {
	each := max(took.Seconds(), 1e-3) / float64(max(images, 1))
	if each > 1 {
		return fmt.Sprintf("%6.1f s/img", each)
	}
	return fmt.Sprintf("%6.0f img/s", 1/each)
}

// close ends the line of the stage on show.
func (b *bar) close() {
	if b.bar != nil && b.stage != "" {
		_, _ = io.WriteString(b.out, "\n")
	}
	b.stage = ""
}
