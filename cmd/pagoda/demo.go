package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/eval"
	"github.com/pagoda-go/pagoda/report"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

func demoCommand() *cobra.Command {
	var flags runFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Train all stages on real images, score them and write a report",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if flags.preset == demoPreset && !c.Flags().Changed("share") {
				flags.share = demoShare(flags.device)
			}
			return flags.with(c.Context(), func(ctx context.Context, e *stage.Env) error {
				return demo(ctx, e, c.OutOrStdout())
			})
		},
	}
	flags.register(c, demoPreset)
	return c
}

const demoPreset = "demo"

// demoShare keeps the demo within ten minutes on two cores: processors that do
// not multiply bfloat16 take about twice as long for an image.
func demoShare(device string) float64 {
	if torch.FastBFloat16() || device != torch.CPU.String() {
		return 1
	}
	return 0.4
}

func demo(ctx context.Context, e *stage.Env, out io.Writer) error {
	test, err := e.Test()
	if err != nil { // before hours of training
		return err
	}
	if err := test.Close(); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *stage.Env) error{stage.Evaluator, stage.Train, eval.ScoreRun} {
		if err := step(ctx, e); err != nil {
			return err
		}
	}
	path, err := report.Write(e)
	if err != nil {
		return err
	}
	scores, err := eval.ReadScores(e)
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	printScores(out, scores)
	fmt.Fprintf(out, "\nThe report: %s\n", path)
	return nil
}

// printScores writes a line for each network, each figure beside that of real training images.
func printScores(out io.Writer, s *eval.Scores) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tpixels\tsteps\tclass accuracy\t(real)\tFréchet distance\t(real)\tdiversity, mean\tleast\t")
	for _, m := range s.Models {
		of := func(r *eval.Result, key string) float64 { return r.Figure(key).Mean }
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f %%\t%.1f %%\t%.2f\t%.2f\t%.2f\t%.2f\t\n", m.Model, m.Resolution, m.Evaluations,
			100*of(m.Generated, "accuracy"), 100*of(m.Floor, "accuracy"), of(m.Generated, "fd"), of(m.Floor, "fd"),
			of(m.Generated, "diversity"), of(m.Generated, "diversity_minimum"))
	}
	w.Flush()
	if n := len(s.Models); n > 0 {
		p := s.Models[n-1].Generated.Protocol
		fmt.Fprintf(out, "%d samples in %s and %d training images, against %d of the test split; %s; all of it in the report\n",
			p.Count, p.Samples.Model.Precision, s.Models[n-1].Floor.Protocol.Count, p.Real.Count, p.Network.Name)
	}
}
