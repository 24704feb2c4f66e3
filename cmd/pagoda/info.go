package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/convert"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
)

func infoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "info PATH",
		Short: "Describe a file of weights or of prepared pictures, or how far the run in a folder is",
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
	if data.IsPrepared(path) {
		if err := verify(path); err != nil {
			return err
		}
		return preparedInfo(out, path)
	}
	f, err := convert.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Recognise(convert.Options{})
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	switch {
	case !f.Own():
		foreign(w, path, f, n, err)
	case err != nil:
		return err
	default:
		if err := own(w, path, n.Description); err != nil {
			return err
		}
	}
	return w.Flush()
}

// own describes a file of this program.
func own(w io.Writer, path string, d network.Description) error {
	i, err := pagoda.Inspect(path)
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
	fmt.Fprintf(w, "stage\t%s, preset %s, %d images seen\n", i.Stage, cmp.Or(i.Preset, "unknown"), i.ImagesSeen)
	if from := d.Provenance; from != nil {
		kind := "weights"
		if from.EMA {
			kind = "averaged weights (EMA)"
		}
		fmt.Fprintf(w, "imported\t%s from %s, %s, SHA-256 %s\n", kind, from.File, from.Format, from.SHA256)
	}
	if p := d.Preconditioning; p.Form != "" {
		fmt.Fprintf(w, "sees\tnoise by the preconditioning %q %s\n", p.Form, p.Schedule)
	}
	fmt.Fprintf(w, "pictures\t%d×%d, %s, from latents of %d×%d\n", i.Resolution, i.Resolution, colour, a.InputSize(), a.InputSize())
	fmt.Fprintf(w, "classes\t%s\n", classes)
	fmt.Fprintf(w, "network\t%s, %d parameters, %s\n", a.Name(), i.Parameters, precision)
	levels(w, a)
	fmt.Fprintf(w, "use\t%s\n", use(path, d))
	return nil
}

// foreign describes a file of another program, and the network in it or why there is none.
func foreign(w io.Writer, path string, f *convert.File, n *convert.Network, unknown error) {
	fmt.Fprintf(w, "file\t%s, %s\n", f.Format(), f)
	beside := f.Beside()
	for _, what := range slices.Sorted(maps.Keys(beside)) {
		fmt.Fprintf(w, "beside\t%d tensors of %s\n", beside[what], what)
	}
	switch {
	case errors.Is(unknown, convert.ErrAmbiguous):
		fmt.Fprintf(w, "network\t%v\n", unknown)
		fmt.Fprintf(w, "use\tpagoda import %s teacher.safetensors --stage teacher, or another stage or preset; see pagoda import --help\n", quote(path))
	case unknown != nil:
		fmt.Fprintf(w, "network\t%v\n", unknown)
	default:
		fmt.Fprintf(w, "network\t%s\n", n)
		levels(w, n.Description.Architecture)
		fmt.Fprintf(w, "names\tbegin with %q\n", n.Prefix)
		if others := n.Others(); len(others) > 0 {
			fmt.Fprintf(w, "\tpassed over: those with %q\n", others)
		}
		fmt.Fprintf(w, "use\tpagoda import %s %s.safetensors\n", quote(path), n.Description.Stage)
	}
}

// levels describes the widths of a network.
func levels(w io.Writer, a network.Config) {
	if e := a.EDM; e != nil {
		fmt.Fprintf(w, "\tlevels %d × %v, residual blocks a level: %d\n", e.ModelChannels, e.ChannelMult, e.Blocks)
		return
	}
	u := a.ADM
	fmt.Fprintf(w, "\tencoder %d × %v, decoder %d × %v, residual blocks a level: %d\n", u.ModelChannels, u.EncoderMult, u.ModelChannels, u.DecoderMult[u.Grown():], u.ResBlocks)
	heads := fmt.Sprintf("heads of %d channels", u.HeadChannels)
	if u.HeadChannels == 0 {
		heads = fmt.Sprintf("%d heads", u.Heads)
	}
	fmt.Fprintf(w, "\tattention in %s, order %s\n", heads, u.HeadOrder)
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
