package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/eval"
	"github.com/pagoda-go/pagoda/torch"
)

func evalRefCommand() *cobra.Command {
	var network featureFlags
	var o eval.StatisticsOptions
	var path string
	c := &cobra.Command{
		Use:   "ref DATA",
		Short: "Make reference statistics, for this program and for others",
		Long: `Make reference statistics of pictures: a NumPy archive with mu and sigma, which EDM's
evaluator reads, and with mu_s and sigma_s from Inception, which guided-diffusion's wants too.`,
		Example: `  pagoda eval ref photos.zip --features inception --out photos.npz`,
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if path == "" {
				return fmt.Errorf("%w: --out names the file to write", errUsage)
			}
			return network.with(func(setup eval.Setup) error {
				o.Setup, o.Source = setup, args[0]
				info, statistics, err := eval.WriteStatistics(c.Context(), path, o)
				if err != nil {
					return err
				}
				if statistics.Singular() {
					fmt.Fprintf(c.OutOrStdout(), "warning: %d images for %d features: the covariance is singular\n", statistics.N, len(statistics.Mean))
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "wrote %s: %d features of %d images of %s\n", path, len(statistics.Mean), statistics.N, info.Name)
				return err
			})
		},
	}
	network.register(c)
	c.Flags().StringVar(&path, "out", "", "the .npz file to write")
	c.Flags().IntVar(&o.N, "n", 0, "how many pictures (default all)")
	c.Flags().BoolVar(&o.Activations, "activations", false, "keep the features too, for precision, recall and the like")
	c.Flags().IntVar(&o.Images, "images", 0, "keep this many of the pictures too, from which guided-diffusion's evaluator gets features")
	return c
}

func evalReconCommand() *cobra.Command {
	var r reconstructing
	c := &cobra.Command{
		Use:   "recon ORIGINALS PICTURES",
		Short: "Measure how close pictures come to their originals, pair by pair",
		Args:  usage(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c.Context(), c.OutOrStdout(), args[0], args[1])
		},
	}
	c.Flags().BoolVar(&r.lpips, "lpips", false, "measure LPIPS too, with the weights of pagoda features fetch vgg16 lpips_vgg")
	c.Flags().StringVar(&r.device, "device", "cpu", "where LPIPS runs: cpu, or cuda:N")
	c.Flags().BoolVar(&r.json, "json", false, "print JSON")
	return c
}

// reconstructing are the flags of pagoda eval recon.
type reconstructing struct {
	device      string
	lpips, json bool
}

func (r *reconstructing) run(ctx context.Context, out io.Writer, originals, pictures string) error {
	if err := torch.Load(); err != nil {
		return err
	}
	device, err := torch.ParseDevice(r.device)
	if err != nil {
		return fmt.Errorf("%w: --device: %w", errUsage, err)
	}
	var distance eval.Distance
	if r.lpips {
		if distance, err = eval.OpenLPIPS(device); err != nil {
			return err
		}
		defer distance.Close()
	}
	bar := newBar(os.Stderr)
	defer bar.close()
	result, err := eval.Reconstruct(ctx, originals, pictures, distance, bar.progress)
	if err != nil {
		return err
	}
	if r.json {
		return printJSON(out, result)
	}
	if err := printFigures(out, result.Figures, result.Warnings); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d pictures of %s against %s\n", result.Count, result.Images.Name, result.Originals.Name)
	if d := result.Distance; d != nil {
		fmt.Fprintf(out, "%s sha256 %s, %s\n", d.Name, d.SHA256, d.Note)
	}
	return nil
}
