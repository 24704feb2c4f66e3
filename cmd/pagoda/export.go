package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/convert"
)

func exportCommand() *cobra.Command {
	var options convert.Options
	var to string
	var force bool
	c := &cobra.Command{
		Use:   "export SRC DST",
		Short: "Write weights for Python, named as in the reference",
		Example: `  pagoda export runs/demo/generator-32.safetensors generator.pt --to pt
  python3 -c 'import torch; print(torch.load("generator.pt").keys())'`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			target := convert.Target(to)
			if target != convert.PT && target != convert.Safetensors {
				return fmt.Errorf("%w: --to is %q; it must be %q or %q", errUsage, to, convert.PT, convert.Safetensors)
			}
			return convertFile(args[0], args[1], options, force, func(n *convert.Network) error {
				if err := n.Export(args[1], target); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "wrote %s: %s\n", args[1], n)
				return err
			})
		},
	}
	c.Flags().StringVar(&to, "to", string(convert.PT), "pt or safetensors")
	recognitionFlags(c, &options)
	c.Flags().BoolVar(&force, "force", false, "write over DST")
	return c
}
