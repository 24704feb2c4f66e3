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
	batch, images, gpu := 0, 0, "A100"
	c := &cobra.Command{
		Use:   "plan PRESET",
		Short: "What a run will cost: parameters, operations, memory, time",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return writePlan(c.OutOrStdout(), args[0], batch, images, gpu)
		},
	}
	c.Flags().Var(whole{value: &batch, least: 1}, "batch", "images a step (default the preset's)")
	c.Flags().Var(whole{value: &images, least: 1}, "images", "images in the data, for presets that invert all of them; ImageNet has 1281167")
	c.Flags().StringVar(&gpu, "gpu", gpu, "whose time to estimate")
	return c
}

func writePlan(out io.Writer, preset string, batch, images int, gpu string) error {
	c, err := loadPreset("PRESET", preset)
	if err != nil {
		return err
	}
	g, err := plan.ByName(gpu)
	if err != nil {
		return fmt.Errorf("%w: --gpu: %w", errUsage, err)
	}
	if c.Invert.Images == 0 {
		c.Invert.Images = images
	}
	stages, err := plan.Of(c, batch)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "stage\tparameters\ttrained\tforward, GFLOP\tin all, GFLOP\timages\tbatch\tmemory, GB\thours\t\n")
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
		fmt.Fprintf(w, "%s\t%d\t%d\t%.4g\t%.4g\t%s\t%d\t%.1f\t%s\t\n", s.Name, s.Parameters, s.Trained, s.Forward/1e9, s.FLOPs/1e9, images, s.Batch, s.Memory/1e9, time)
	}
	fmt.Fprintf(w, "together\t\t\t\t\t\t\t\t%s%.1f\t\n", known, hours)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := teacherInAll(out, c, stages[len(stages)-1].Resolution); err != nil {
		return err
	}
	unknown := ""
	if known != "" {
		unknown = " --images says how many \"all\" are."
	}
	_, err = fmt.Fprintf(out, `
GFLOP are those of one image: forward, of the network alone; in all, of what the stage does with an image, its
judges and the passes back included. Hours are those of one %s, %.0f TFLOP/s, at %.0f %% of its peak. Memory, of
its %.0f GB, is that of the network, its optimiser and the activations of the whole batch, within a third; what
judges the images comes on top. --batch tells it for batches that fit.%s
`, g.Name, g.FLOPs/1e12, 100*plan.Utilisation, g.Memory/1e9, unknown)
	return err
}

// teacherInAll is the work of training the teacher, and what it would be at the generator's resolution.
func teacherInAll(out io.Writer, c *config.Config, full int) error {
	base := c.Network.Resolution
	low, err := plan.TeacherFLOPs(c, base)
	if err != nil {
		return err
	}
	images := float64(c.Teacher.Images)
	if _, err = fmt.Fprintf(out, `
Training the teacher at %d×%d: %.4g GFLOP an image, %.4g FLOP for its %d images.
`, base, base, low/1e9, low*images, c.Teacher.Images); err != nil || full == base {
		return err
	}
	high, err := plan.TeacherFLOPs(c, full)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `The same network at %d×%d: %.4g GFLOP an image, %.4g FLOP for as many, %.1f times the work; %d times without its attention.
`, full, full, high/1e9, high*images, high/low, full/base*full/base)
	return err
}
