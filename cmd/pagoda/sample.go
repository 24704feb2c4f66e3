package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda"
)

func sampleCommand() *cobra.Command {
	s := sampling{n: 100}
	c := &cobra.Command{
		Use:   "sample",
		Short: "Make pictures",
		Example: `  pagoda sample --class sneaker --n 64 --out sneakers.png
  pagoda sample --model runs/demo/generator-32.safetensors --n 10000 --out samples.npz
  pagoda sample --random imagenet-512 --n 1   # how fast, in how much memory`,
		Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c.Context(), c.OutOrStdout()) },
	}
	c.Flags().StringVar(&s.model, "model", "", "weights of a generator (default the one that is part of this program)")
	c.Flags().StringVar(&s.random, "random", "", "instead of a model, a preset's generator with random weights: measures speed and memory")
	c.Flags().StringVar(&s.class, "class", "", "name or index of the class (default all in turn)")
	c.Flags().Var(whole{value: &s.n, least: 1}, "n", "how many pictures")
	c.Flags().Uint64Var(&s.seed, "seed", 1, "the same seed gives the same pictures")
	c.Flags().StringVar(&s.options.Device, "device", "cpu", "cpu, or cuda:N with a libtorch built for CUDA")
	c.Flags().Var(oneOf{&s.options.Precision, precisions}, "precision", "float32, bfloat16 or, on CUDA, float16 (default the fastest)")
	c.Flags().StringVar(&s.out, "out", "samples.png", "a .png file for a sheet of all, an .npz file, or a folder for a file each")
	return c
}

// sampling are the flags of pagoda sample.
type sampling struct {
	model, random, class, out string
	n                         int
	seed                      uint64
	options                   pagoda.Options
}

func (s *sampling) run(ctx context.Context, out io.Writer) error {
	if s.model != "" && s.random != "" {
		return fmt.Errorf("%w: --random takes the place of --model; give one of them", errUsage)
	}
	write, err := writerFor(s.out, s.n)
	if err != nil {
		return err
	}
	if _, err := parseDevice(s.options.Device); err != nil {
		return err
	}
	m, err := s.open()
	if err != nil {
		return err
	}
	defer m.Close()
	request := pagoda.Request{N: s.n, Seed: s.seed}
	if s.class != "" {
		class, err := m.Info().Class(s.class)
		if err != nil {
			return fmt.Errorf("%w: --class: %w", errUsage, err)
		}
		request.Classes = []int{class}
	}
	if work := m.Info().FLOPs * float64(s.n); work > 100e9 { // about a second
		bar := newBar(os.Stderr)
		defer bar.close()
		request.Progress = func(done, total int) { bar.progress("sample", int64(done), int64(total), "") }
		request.Progress(0, s.n)
	}
	took := time.Duration(0)
	produce := func(keep func(pictures) error) error {
		for first := 0; first < s.n; first += partOf(m.Info()) {
			start := time.Now()
			p, err := part(ctx, m, request, first)
			if err != nil {
				return err
			}
			took += time.Since(start)
			if err := keep(p); err != nil {
				return err
			}
		}
		return nil
	}
	err = write(s.out, m.Info(), s.n, produce)
	if errors.Is(err, context.Canceled) {
		kept := "nothing is written"
		if isFolder(s.out) {
			kept = "what was made is in " + s.out
		}
		return fmt.Errorf("stopped, %s: %w", kept, ctx.Err())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "wrote %s: %d pictures of %d×%d, %s\n",
		s.out, s.n, m.Info().Resolution, m.Info().Resolution, strings.TrimSpace(rate(int64(s.n), took)))
	if s.random != "" && err == nil {
		return s.measured(out, m, took)
	}
	return err
}

// partOf is the number of pictures made and kept at a time: about a megabyte, in whole blocks.
func partOf(i pagoda.Info) int {
	const bytes, blocks = 1 << 20, 16
	return max(1, bytes/(blocks*i.Channels*i.Resolution*i.Resolution)) * blocks
}

// part makes the part of a request's pictures that begins with number first.
func part(ctx context.Context, m *pagoda.Model, r pagoda.Request, first int) (pictures, error) {
	all, told := r.N, r.Progress
	r.First, r.N = first, min(partOf(m.Info()), all-first)
	if told != nil {
		r.Progress = func(done, _ int) { told(first+done, all) }
	}
	pixels, classes, err := m.Pixels(ctx, r)
	return pictures{pixels, classes}, err
}

func (s *sampling) open() (*pagoda.Model, error) {
	switch {
	case s.random != "":
		c, err := loadPreset("--random", s.random)
		if err != nil {
			return nil, err
		}
		return s.options.Untrained(c.Generator(len(c.Grow)).WithClasses(c.Data.NetworkClasses()))
	case s.model == "":
		return s.options.Default()
	}
	return s.options.Open(s.model)
}
