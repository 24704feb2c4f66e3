package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/torch"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program, Go and libtorch",
		Args:  usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			version := "unknown"
			if build, ok := debug.ReadBuildInfo(); ok {
				version = build.Main.Version
			}
			libtorch := "not usable, see pagoda doctor"
			if engine, err := torch.Describe(); err == nil {
				libtorch = engine.Version
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "pagoda %s, %s, libtorch %s\n", version, runtime.Version(), libtorch)
			return err
		},
	}
}
