package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/data"
)

func prepareCommand() *cobra.Command {
	var resolution, channels = 0, 3
	var force bool
	c := &cobra.Command{
		Use:   "prepare PICTURES FILE",
		Short: "Cut and resize pictures once, for all trainings on them",
		Long: `Cut the pictures of a folder or a zip archive to squares of one size, once, and
write them to FILE, which trainings open at once and without holding all of it in
memory. pagoda info FILE reads it through and tells whether it has been damaged.`,
		Example: `  pagoda prepare imagenet.zip imagenet-64.safetensors --resolution 64
  pagoda prepare scans/ scans.safetensors --resolution 128 --channels 1`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			from, to := args[0], args[1]
			if resolution == 0 {
				return fmt.Errorf("%w: --resolution is missing: the pixels a side that trainings want", errUsage)
			}
			if channels == 2 {
				return fmt.Errorf("%w: --channels is 1 for grey or 3 for colour", errUsage)
			}
			if err := mayWrite(to, force); err != nil {
				return err
			}
			bar := newBar(os.Stderr)
			defer bar.close()
			err := data.Prepare(c.Context(), from, to, resolution, channels, func(done, total int) {
				bar.progress("prepare", int64(done), int64(total), "")
			})
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("stopped, nothing is written: %w", err)
			}
			if err != nil {
				return err
			}
			return preparedInfo(c.OutOrStdout(), to)
		},
	}
	c.Flags().Var(whole{value: &resolution, least: 1, most: 1 << 14}, "resolution", "pixels a side")
	c.Flags().Var(whole{value: &channels, least: 1, most: 3}, "channels", "1 for grey, 3 for colour")
	c.Flags().BoolVar(&force, "force", false, "write over FILE")
	return c
}

// preparedInfo describes a file of prepared pictures.
func preparedInfo(out io.Writer, path string) error {
	train, err := data.OpenPrepared(path, data.Train)
	if err != nil {
		return err
	}
	defer train.Close()
	measured := 0
	test, err := data.OpenPrepared(path, data.Test)
	if err == nil {
		defer test.Close()
		measured = test.Len()
	} else if !errors.Is(err, data.ErrSplit) {
		return err
	}
	_, err = fmt.Fprintf(out, `%s: %d pictures of %d×%d×%d in %d classes to train on, %d to measure against
use them: [data] source = "prepared", path = %q, resolution = %d, channels = %d
`, path, train.Len(), train.C, train.H, train.W, len(train.ClassNames), measured, path, train.H, train.C)
	return err
}

// verify reads a file of prepared pictures through.
func verify(path string) error {
	for _, split := range []data.Split{data.Train, data.Test} {
		d, err := data.OpenPrepared(path, split)
		if errors.Is(err, data.ErrSplit) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(d.Verify(), d.Close()); err != nil {
			return err
		}
	}
	return nil
}
