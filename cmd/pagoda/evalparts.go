package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/eval"
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
				o.Setup, o.Source, o.Generation.Device = setup, args[0], network.device
				result, err := eval.WriteStatistics(c.Context(), path, o)
				if err != nil {
					return err
				}
				fmt.Fprintln(c.OutOrStdout(), "wrote", path)
				return printResult(c.OutOrStdout(), result, false)
			})
		},
	}
	network.register(c)
	registerGeneration(c, &o.Generation)
	c.Flags().StringVar(&path, "out", "", "the .npz file to write")
	c.Flags().Var(whole{value: &o.N}, "n", "how many pictures (default all)")
	c.Flags().BoolVar(&o.Activations, "activations", false, "keep the features too, for precision, recall and the like")
	c.Flags().Var(whole{value: &o.Images}, "images", "keep this many of the pictures too, from which guided-diffusion's evaluator gets features")
	return c
}

func evalReconCommand() *cobra.Command {
	var r reconstructing
	c := &cobra.Command{
		Use:   "recon RUN | ORIGINALS PICTURES",
		Short: "Measure how close pictures come to their originals, pair by pair",
		Long: `Measure how close pictures come to their originals, pair by pair: those of two folders,
archives or .npz files; or what a run's generator makes of the latents of its pairs. RUN is
the run's folder, for its last generator, or the file of a generator in it.`,
		Example: `  pagoda eval recon runs/demo --n 2000
  pagoda eval recon photos.zip decoded.zip --lpips`,
		Args: usage(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, args []string) error {
			return r.run(c.Context(), c.OutOrStdout(), args)
		},
	}
	c.Flags().BoolVar(&r.lpips, "lpips", false, "measure LPIPS too, with the weights of pagoda features fetch vgg16 lpips_vgg")
	c.Flags().BoolVar(&r.options.Variants, "variants", false, "other definitions too: SSIM in Gaussian windows, PSNR and SSIM of batches as PaGoDA's code has them")
	c.Flags().StringVar(&r.options.Generation.Device, "device", "cpu", "where LPIPS and a run's generator work: cpu, or cuda:N")
	c.Flags().Var(whole{value: &r.options.N}, "n", "how many pairs of a run (default all)")
	c.Flags().StringVar(&r.options.Data, "data", "", "where a run's images are, when not where its configuration says")
	c.Flags().Uint64Var(&r.options.Seed, "seed", 1, "of the choice of --n from more")
	c.Flags().Var(oneOf{&r.options.Precision, precisions}, "precision", "the generator's: float32, bfloat16 or, on CUDA, float16 (default the fastest)")
	c.Flags().BoolVar(&r.json, "json", false, "print JSON")
	return c
}

// reconstructing are the flags of pagoda eval recon.
type reconstructing struct {
	options     eval.ReconstructionOptions
	lpips, json bool
}

func (r *reconstructing) run(ctx context.Context, out io.Writer, names []string) error {
	device, err := parseDevice(r.options.Generation.Device)
	if err != nil {
		return err
	}
	o := r.options
	if r.lpips {
		if o.Distance, err = eval.OpenLPIPS(device); err != nil {
			return err
		}
		defer o.Distance.Close()
	}
	bar := newBar(os.Stderr)
	defer bar.close()
	o.Progress = bar.progress
	var result *eval.Result
	if len(names) == 1 {
		result, err = eval.ReconstructRun(ctx, names[0], o)
	} else {
		result, err = eval.Reconstruct(ctx, names[0], names[1], o)
	}
	if err != nil {
		return err
	}
	return printResult(out, result, r.json)
}
