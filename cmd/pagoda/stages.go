package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/stage"
)

// stageCommands are one command a stage.
func stageCommands() []*cobra.Command {
	list := []struct {
		name, short string
		run         func(context.Context, *stage.Env) error
	}{
		{"teacher", "Stage 1: train the diffusion model on downsampled images", stage.Teacher},
		{"invert", "Turn every image into its latent through the diffusion ODE", stage.Invert},
		{"features", "Train the classifier whose features the generator is judged by", stage.Features},
		{"distill", "Stage 2: train the one-step generator at base resolution", stage.Distill},
		{"grow", "Stage 3: grow the generator to the data's resolution", grow},
	}
	var out []*cobra.Command
	for _, s := range list {
		var flags runFlags
		c := &cobra.Command{
			Use: s.name, Short: s.short, Args: usage(cobra.NoArgs),
			RunE: func(c *cobra.Command, _ []string) error { return flags.with(c.Context(), s.run) },
		}
		flags.register(c, "fashion-mnist")
		if s.name == "features" {
			c.AddCommand(fetchCommand())
		}
		out = append(out, c)
	}
	return out
}

// grow runs all growths in turn.
func grow(ctx context.Context, e *stage.Env) error {
	for n := range e.Config.Grow {
		if err := stage.Grow(ctx, e, n+1); err != nil {
			return fmt.Errorf("growth %d: %w", n+1, err)
		}
	}
	return nil
}
