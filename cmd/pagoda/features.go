package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pagoda-go/pagoda/features/fetch"
)

func fetchCommand() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use:   "fetch [NAME...]",
		Short: "Download published weights of feature networks, or list them",
		Long: `Download published weights of feature networks from where they are published,
and check them. A download that was cut off goes on where it stopped. Without a NAME,
list what there is and what is installed.`,
		Example: `  pagoda features fetch
  pagoda features fetch vgg16 lpips_vgg`,
		RunE: func(c *cobra.Command, names []string) (err error) {
			if folder == "" {
				if folder, err = fetch.Folder(); err != nil {
					return err
				}
			}
			if len(names) == 0 {
				return listWeights(c.OutOrStdout(), folder)
			}
			return fetchWeights(c.Context(), c.OutOrStdout(), folder, names)
		},
	}
	c.Flags().StringVar(&folder, "dir", "", "folder of the weights (default pagoda/weights in the user's cache)")
	return c
}

func listWeights(out io.Writer, folder string) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tINSTALLED\tWHAT")
	for _, f := range fetch.Catalogue {
		installed := "yes"
		if _, err := f.Find(folder); errors.Is(err, fetch.ErrMissing) {
			installed = "no"
		} else if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Name, installed, f.About)
	}
	fmt.Fprintf(table, "\nin %s\n", folder)
	return table.Flush()
}

func fetchWeights(ctx context.Context, out io.Writer, folder string, names []string) error {
	var files []fetch.File
	for _, name := range names {
		f, err := fetch.Lookup(name)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		files = append(files, f)
	}
	for _, f := range files {
		path, sum, err := f.Fetch(ctx, folder, downloadBar(f.File))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s\n", f.Name, path)
		if f.SHA256 == "" {
			fmt.Fprintf(out, "SHA-256 %s, unchecked: none is published\n", sum)
		}
	}
	return nil
}

// downloadBar shows a download on a terminal, and nothing elsewhere.
func downloadBar(name string) fetch.Progress {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, total int64) {
		if bar == nil {
			bar = progressbar.DefaultBytes(total, name)
		}
		_ = bar.Set64(done)
	}
}
