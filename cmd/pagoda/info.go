package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
)

func infoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "info PATH",
		Short: "Describe a file of weights, or how far the run in a folder is",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if isFolder(args[0]) {
				return runInfo(c.OutOrStdout(), args[0])
			}
			return fileInfo(c.OutOrStdout(), args[0])
		},
	}
}

func fileInfo(out io.Writer, path string) error {
	i, err := pagoda.Inspect(path)
	if errors.Is(err, pagoda.ErrNotModel) {
		_, err = fmt.Fprintln(out, err)
		return err
	}
	if err != nil {
		return err
	}
	a, precision, colour, classes := i.Architecture, "float32", "RGB", "none"
	if i.Half {
		precision = "float16"
	}
	if i.Channels == 1 {
		colour = "grey"
	}
	if len(i.Classes) > 0 {
		classes = fmt.Sprintf("%d: %s", len(i.Classes), i.ClassList())
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "stage\t%s, preset %s, %d images seen\n", i.Stage, i.Preset, i.ImagesSeen)
	fmt.Fprintf(w, "pictures\t%d×%d, %s, from latents of %d×%d\n", i.Resolution, i.Resolution, colour, a.InputSize(), a.InputSize())
	fmt.Fprintf(w, "classes\t%s\n", classes)
	fmt.Fprintf(w, "network\t%s, %d parameters, %s\n", a.Name(), i.Parameters, precision)
	levels(w, a)
	if i.Stage == "generator" {
		fmt.Fprintf(w, "use\tpagoda sample --model %s --n 64 --out samples.png\n", quote(path))
	}
	return w.Flush()
}

// levels describes the widths of a network.
func levels(w io.Writer, a network.Config) {
	if e := a.EDM; e != nil {
		fmt.Fprintf(w, "\tlevels %d × %v, residual blocks a level: %d\n", e.ModelChannels, e.ChannelMult, e.Blocks)
		return
	}
	u := a.ADM
	fmt.Fprintf(w, "\tencoder %d × %v, decoder %d × %v, residual blocks a level: %d\n", u.ModelChannels, u.EncoderMult, u.ModelChannels, u.DecoderMult[u.Grown():], u.ResBlocks)
	if u.Grown() > 0 {
		fmt.Fprintf(w, "\tabove that %d × %v, residual blocks a level: %d\n", u.ModelChannelsHigh, u.DecoderMult[:u.Grown()], u.ResBlocksHigh+1)
	}
}

// quote makes a path one word for the shell.
func quote(path string) string {
	if strings.ContainsAny(path, " \t'\"$&;()*?<>|\\`") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func runInfo(out io.Writer, dir string) error {
	c, stages, err := stage.Survey(dir)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "run\t%s, to %d×%d\n", c.Name, c.Data.Resolution, c.Data.Resolution)
	for _, s := range stages {
		switch {
		case s.Done:
			fmt.Fprintf(w, "%s\tdone, %d images: %s\n", s.Stage, s.Seen, s.File)
		case s.Seen > 0 && s.Total > 0:
			fmt.Fprintf(w, "%s\t%d of %d images, %d %%\n", s.Stage, s.Seen, s.Total, 100*s.Seen/s.Total)
		default:
			fmt.Fprintf(w, "%s\tnot begun\n", s.Stage)
		}
	}
	return w.Flush()
}
