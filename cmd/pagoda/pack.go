package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/checkpoint"
)

func packCommand() *cobra.Command {
	return &cobra.Command{
		Use: "pack SOURCE TARGET", Short: "Write the weights of a file in half precision to another", Args: usage(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, args []string) error { return pack(args[0], args[1]) },
	}
}

func pack(source, target string) error {
	f, err := checkpoint.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	half := map[string]checkpoint.Tensor{}
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		half[name] = checkpoint.HalfFrom(t)
	}
	return checkpoint.Write(target, half, f.Metadata())
}
