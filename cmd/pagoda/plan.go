package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/plan"
)

func planCommand() *cobra.Command {
	batch, gpu := 0, "A100"
	c := &cobra.Command{
		Use:   "plan PRESET",
		Short: "What a run will cost: parameters, operations, memory, time",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return writePlan(c.OutOrStdout(), args[0], batch, gpu)
		},
	}
	c.Flags().IntVar(&batch, "batch", 0, "images a step (default the preset's)")
	c.Flags().StringVar(&gpu, "gpu", gpu, "whose time to estimate")
	return c
}

func writePlan(out io.Writer, preset string, batch int, gpu string) error {
	c, err := config.Load(preset)
	if err != nil {
		return err
	}
	g, err := plan.ByName(gpu)
	if err != nil {
		return fmt.Errorf("%w: --gpu: %w", errUsage, err)
	}
	stages, err := plan.Of(c, batch)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "stage\tparameters\ttrained\tGFLOP an image\timages\tbatch\tmemory, GB\thours\t\n")
	hours, known := 0., ""
	for _, s := range stages {
		images, time := "all", "?"
		if s.Images == 0 {
			known = ">"
		} else {
			h := g.Hours(s.FLOPs * float64(s.Images))
			hours += h
			images, time = fmt.Sprint(s.Images), fmt.Sprintf("%.1f", h)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.4g\t%s\t%d\t%.1f\t%s\t\n", s.Name, s.Parameters, s.Trained, s.FLOPs/1e9, images, s.Batch, s.Memory/1e9, time)
	}
	fmt.Fprintf(w, "together\t\t\t\t\t\t\t%s%.1f\t\n", known, hours)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := teacherAtFullSize(out, c, stages[len(stages)-1].Resolution); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
Hours are those of one %s, %.0f TFLOP/s, at %.0f %% of its peak. Memory, of its %.0f GB, is that of the network,
its optimiser and its activations, within a third; what judges the images comes on top.
`, g.Name, g.FLOPs/1e12, 100*plan.Utilisation, g.Memory/1e9)
	return err
}

// teacherAtFullSize compares training the teacher with training it at the generator's resolution.
func teacherAtFullSize(out io.Writer, c *config.Config, full int) error {
	base := c.Network.Resolution
	if full == base {
		return nil
	}
	low, err := plan.TeacherFLOPs(c, base)
	if err != nil {
		return err
	}
	high, err := plan.TeacherFLOPs(c, full)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
The teacher's training step of one image is %.4g GFLOP at %d×%d. The same network at %d×%d would take
%.4g GFLOP, %.1f times as many; %d times without its attention.
`, low/1e9, base, base, full, full, high/1e9, high/low, full/base*full/base)
	return err
}
