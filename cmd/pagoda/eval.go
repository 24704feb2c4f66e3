package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/eval"
)

func evalCommand() *cobra.Command {
	e := evaluating{options: eval.Options{Repeats: 1}}
	c := &cobra.Command{
		Use:   "eval [SAMPLES]",
		Short: "Measure how good samples are, beside real images",
		Long: `Measure how good samples are, beside real images.

SAMPLES is a generator's or teacher's .safetensors file, whose pictures are made as they
are needed; a folder or .zip file of pictures; the arr_0 of an .npz file; a file of pagoda
prepare, or fashion-mnist, each with :train at its end for the pictures to train on, to see
what real ones get. Without it, the model that is part of this program is judged.`,
		Example: `  pagoda eval --n 2000
  pagoda eval runs/demo/generator-32.safetensors --repeats 3 --json
  pagoda eval samples.npz --real photos.zip --features inception`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				e.options.Samples = args[0]
			}
			return e.run(c.Context(), c.OutOrStdout())
		},
	}
	e.network.register(c)
	c.Flags().StringVar(&e.options.Real, "real", "fashion-mnist", "what to compare with: pictures as SAMPLES, or an .npz file of statistics")
	c.Flags().Var(whole{value: &e.options.N}, "n", fmt.Sprintf("how many samples (default all, of a model %d)", eval.ModelSamples))
	registerGeneration(c, &e.options.Generation)
	c.Flags().Var(whole{&e.options.Repeats, 1, eval.MaxRepeats}, "repeats", "judge a model this many times, with this seed and those after it")
	c.Flags().StringVar(&e.options.Sheet, "sheet", "", "folder for a sheet of samples beside the real pictures nearest to them")
	c.Flags().StringVar(&e.options.Train, "train", "", "the pictures that the sheet looks for them in (default --real)")
	c.Flags().BoolVar(&e.json, "json", false, "print JSON")
	c.AddCommand(evalRefCommand(), evalReconCommand())
	return c
}

// featureFlags choose the feature network.
type featureFlags struct{ name, input, device, cache string }

func (f *featureFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "features", "in-domain", "feature network: in-domain, inception, inception_script, the evaluator.safetensors of a run, or a TorchScript file")
	c.Flags().StringVar(&f.input, "input", "", "how it is given pictures: inception tensorflow (default) or pytorch-fid; TorchScript uint8 (default) or imagenet")
	c.Flags().StringVar(&f.device, "device", "cpu", "where the networks run: cpu, or cuda:N")
	c.Flags().StringVar(&f.cache, "cache", "", "folder that keeps features, so that a stopped evaluation goes on")
}

// registerGeneration adds the flags by which a model makes pictures.
func registerGeneration(c *cobra.Command, g *eval.Generation) {
	c.Flags().Uint64Var(&g.Seed, "seed", 1, "of a model's pictures, and of the choice of --n from more")
	c.Flags().Var(oneOf{&g.Precision, precisions}, "precision", "a model's: float32, bfloat16 or, on CUDA, float16 (default the fastest)")
	c.Flags().Var(whole{value: &g.Steps}, "steps", "of a teacher's solver (default as many as its run inverts with)")
}

// with opens the network and calls work with it.
func (f *featureFlags) with(work func(eval.Setup) error) error {
	device, err := parseDevice(f.device)
	if err != nil {
		return err
	}
	network, err := eval.OpenNetwork(f.name, f.input, device)
	switch {
	case errors.Is(err, eval.ErrNetworkName):
		return fmt.Errorf("%w: --features: %w", errUsage, err)
	case errors.Is(err, eval.ErrInput):
		return fmt.Errorf("%w: --input: %w", errUsage, err)
	case err != nil:
		return err
	}
	defer network.Close()
	bar := newBar(os.Stderr)
	defer bar.close()
	return work(eval.Setup{Network: network, Cache: f.cache, Progress: bar.progress})
}

// evaluating are the flags of pagoda eval.
type evaluating struct {
	network featureFlags
	options eval.Options
	json    bool
}

func (e *evaluating) run(ctx context.Context, out io.Writer) error {
	return e.network.with(func(setup eval.Setup) error {
		o := e.options
		o.Setup, o.Generation.Device = setup, e.network.device
		result, err := eval.Evaluate(ctx, o)
		if result == nil {
			return err
		}
		return cmp.Or(err, printResult(out, result, e.json))
	})
}

// printResult writes a table, below it what its reader must know, and how it was measured.
func printResult(out io.Writer, r *eval.Result, asJSON bool) error {
	if asJSON {
		return printJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		values := fmt.Sprintf("%.4g", f.Mean)
		if len(f.Values) > 1 {
			values = fmt.Sprintf("min %.4g\tmean %.4g\tmax %.4g", f.Min, f.Mean, f.Max)
		}
		fmt.Fprintf(w, "%s\t%s\t%s is better\t%s\n", f.Name, values, f.Better, f.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(out, "\nwarning: %s\n", warning)
	}
	fmt.Fprintln(out)
	for _, line := range r.Protocol.Lines() {
		fmt.Fprintf(w, "%s\t%s\n", line.Name, line.Text)
	}
	return w.Flush()
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
