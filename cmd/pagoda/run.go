package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/stage"
)

// runFlags choose the run that a command works on.
type runFlags struct {
	dir, preset, data, device string
	share                     float64
}

func (f *runFlags) register(c *cobra.Command, preset string) {
	c.Flags().StringVar(&f.dir, "run", "", "folder of the run (default runs/PRESET)")
	c.Flags().StringVar(&f.preset, "preset", preset, "preset, or a .toml file, for a new run")
	c.Flags().StringVar(&f.data, "data", "", "where the images are, when not where the preset says")
	c.Flags().StringVar(&f.device, "device", "cpu", "cpu, or cuda:N with a libtorch built for CUDA")
	c.Flags().Float64Var(&f.share, "share", 1, "share of the preset's images that a new run trains on, for a quick look")
}

// with opens the run, or starts it, and calls f with its environment. A run is
// started only once its images are there.
func (f *runFlags) with(ctx context.Context, work func(context.Context, *stage.Env) error) (err error) {
	c, err := config.Load(f.preset)
	if errors.Is(err, config.ErrNoPreset) {
		return fmt.Errorf("%w: --preset: %w", errUsage, err)
	}
	if err != nil {
		return err
	}
	device, err := parseDevice(f.device)
	if err != nil {
		return err
	}
	if f.dir == "" {
		f.dir = filepath.Join("runs", c.Name)
	}
	run, err := checkpoint.OpenRun(f.dir)
	if err != nil && !errors.Is(err, checkpoint.ErrNoRun) {
		return err
	}
	defer func() {
		if run != nil {
			err = errors.Join(err, run.Close())
		}
	}()
	if run != nil {
		asked := c
		if c, err = ownConfig(run); err != nil {
			return err
		}
		if differ(asked, c) {
			fmt.Fprintf(os.Stderr, "pagoda: %s goes on with its own configuration, %s\n", f.dir, filepath.Join(f.dir, "config.toml"))
		}
	}
	if f.data != "" {
		c.Data = c.Data.At(f.data)
	}
	train, err := stage.Images(c.Data, data.Train)
	if err != nil {
		return err
	}
	defer train.Close()
	if run == nil {
		text, err := f.start(c, train.Len())
		if err != nil {
			return err
		}
		if run, err = checkpoint.CreateRun(f.dir, text); err != nil {
			return err
		}
	}
	bar := newBar(os.Stderr)
	defer bar.close()
	e := &stage.Env{Run: run, Config: c, Data: train, Device: device, Progress: bar.progress}
	if err := e.KeepImages(); err != nil {
		return err
	}
	return work(ctx, e)
}

// differ tells whether two configurations do.
func differ(a, b *config.Config) bool {
	one, err := a.Encode()
	other, err2 := b.Encode()
	return err != nil || err2 != nil || !bytes.Equal(one, other)
}

// start is the text of a new run's configuration, for data of so many pictures.
func (f *runFlags) start(c *config.Config, pictures int) ([]byte, error) {
	if !(f.share > 0 && f.share <= 1) {
		return nil, fmt.Errorf("%w: --share is %g; it must be above 0 and at most 1", errUsage, f.share)
	}
	if f.share < 1 {
		c.Shorten(f.share, pictures)
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("--share %g is too little: %w", f.share, err)
		}
		fmt.Fprintf(os.Stderr, "pagoda: training on %g of the preset's images (--share 1 for all)\n", f.share)
	}
	return c.Encode()
}

// ownConfig is the configuration of a run that exists, which holds whatever --preset says.
func ownConfig(run *checkpoint.Run) (*config.Config, error) {
	text, err := run.Config()
	if err != nil {
		return nil, err
	}
	c, err := config.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the configuration of the run in %s: %w", run.Dir, err)
	}
	return c, nil
}
