package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/internal/doctor"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Measure the engine, and say what is wrong and how to cure it",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			report, err := doctor.Examine()
			if err != nil {
				return err
			}
			return printReport(c.OutOrStdout(), report)
		},
	}
}

func printReport(out io.Writer, r doctor.Report) error {
	m, kernel, half := r.Machine, "", "no bfloat16"
	if r.Engine.BLAS != "" {
		kernel = "OpenBLAS, kernel for " + r.Engine.BLAS + ", "
	}
	if m.BFloat16 {
		half = "bfloat16 at twice the rate"
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "libtorch\t%s, %s\n", r.Engine.Version, or(r.Libtorch, "linked in"))
	fmt.Fprintf(w, "BLAS\t%s%s\n", kernel, or(r.BLAS, "part of libtorch"))
	fmt.Fprintf(w, "threads\t%d\n", r.Engine.Threads)
	fmt.Fprintf(w, "processor\t%s, %d cores, %s, %s\n", m.Processor, m.Cores, m.SIMD, half)
	fmt.Fprintf(w, "CUDA devices\t%d\n", r.Engine.CUDA)
	fmt.Fprintf(w, "peak\t%.0f GFLOP/s in float32: %d cores × %.2f GHz (measured) × %d operations a cycle\n", m.Peak(), m.Cores, m.GHz, m.PerCycle)
	for _, s := range r.Speeds {
		note := ""
		if s.Share() > 1 {
			note = " (Winograd's algorithm multiplies less than is counted)"
		}
		fmt.Fprintf(w, "%s\t%.0f GFLOP/s, %.0f %% of the peak%s\n", s.Work, s.GFLOPs, 100*s.Share(), note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	findings := r.Findings()
	if len(findings) == 0 {
		fmt.Fprintln(out, "\nAll is well.")
	}
	for _, f := range findings {
		fmt.Fprintf(out, "\nWrong: %s.\nCure:  %s.\n", f.Problem, f.Cure)
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
