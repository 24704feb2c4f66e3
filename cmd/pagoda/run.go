package main

import (
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
	"github.com/pagoda-go/pagoda/torch"
)

// runFlags choose the run that a command works on.
type runFlags struct{ dir, preset, data, device string }

func (f *runFlags) register(c *cobra.Command, preset string) {
	c.Flags().StringVar(&f.dir, "run", "", "folder of the run (default runs/PRESET)")
	c.Flags().StringVar(&f.preset, "preset", preset, "preset, or a .toml file, for a new run")
	c.Flags().StringVar(&f.data, "data", "", "where the images are, when not where the preset says")
	c.Flags().StringVar(&f.device, "device", "cpu", "cpu, or cuda:N with a libtorch built for CUDA")
}

// with opens the run, or starts it, and calls f with its environment.
func (f *runFlags) with(ctx context.Context, work func(context.Context, *stage.Env) error) (err error) {
	c, err := config.Load(f.preset)
	if err != nil {
		return err
	}
	if f.data != "" {
		c.Data.Path = f.data
	}
	if f.dir == "" {
		f.dir = filepath.Join("runs", c.Name)
	}
	run, c, err := openRun(f.dir, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	if err := torch.Load(); err != nil {
		return err
	}
	device, err := torch.ParseDevice(f.device)
	if err != nil {
		return fmt.Errorf("%w: --device: %w", errUsage, err)
	}
	train, err := data.Load(c.Data.Source, c.Data.Path, data.Train, c.Data.Resolution, c.Data.Channels)
	if err != nil {
		return err
	}
	bar := newBar(os.Stderr)
	defer bar.close()
	return work(ctx, &stage.Env{Run: run, Config: c, Data: train, Device: device, Progress: bar.progress})
}

// openRun goes on with the run in dir, whose own configuration then holds, or starts one.
func openRun(dir string, c *config.Config) (*checkpoint.Run, *config.Config, error) {
	run, err := checkpoint.OpenRun(dir)
	if errors.Is(err, checkpoint.ErrNoRun) {
		text, err := c.Encode()
		if err != nil {
			return nil, nil, err
		}
		run, err = checkpoint.CreateRun(dir, text)
		return run, c, err
	}
	if err != nil {
		return nil, nil, err
	}
	text, err := run.Config()
	if err == nil {
		if c, err = config.Parse(text); err != nil {
			err = fmt.Errorf("the configuration of the run in %s: %w", dir, err)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, run.Close())
	}
	return run, c, nil
}
