package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/convert"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/unet"
)

func importCommand() *cobra.Command {
	var options convert.Options
	var half, force bool
	c := &cobra.Command{
		Use:   "import SRC DST",
		Short: "Bring others' weights into a file of this program",
		Long: `Bring the weights in SRC, a .pt, .pth, .pkl or .safetensors file, or the index of
several of the latter, into DST, a file of this program. Nothing in SRC is run.`,
		Example: `  pagoda import 256x256_diffusion.pt teacher.safetensors --resolution 256 --noise-schedule linear
  pagoda import edm-cifar10-32x32-cond-vp.pkl runs/cifar10/teacher.safetensors
  pagoda import decoder_ema.pt decoder.safetensors --preset imagenet-128`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			return convertFile(args[0], args[1], options, force, func(n *convert.Network) error {
				if err := n.Save(args[1], half); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "wrote %s: %s\n%suse it: %s\n", args[1], n, assumed(n), use(args[1], n.Description))
				return err
			})
		},
	}
	recognitionFlags(c, &options)
	c.Flags().BoolVar(&half, "half", false, "write half precision")
	c.Flags().BoolVar(&force, "force", false, "write over DST")
	return c
}

// recognitionFlags say which network a file holds, where it does not say so itself.
func recognitionFlags(c *cobra.Command, o *convert.Options) {
	c.Flags().StringVar(&o.Preset, "preset", "", "preset, or a .toml file, whose network it is (default found out)")
	c.Flags().Var(oneOf{&o.Stage, []string{network.Teacher, network.Generator}}, "stage", "teacher or generator (default found out)")
	c.Flags().Var(oneOf{&o.HeadOrder, []string{string(unet.Legacy), string(unet.Flash)}}, "head-order", "of an ADM U-Net's attention, legacy or flash (default the preset's; without one legacy if variances are learned, else flash)")
	c.Flags().Var(whole{value: &o.Resolution, least: 1}, "resolution", "of the input of an ADM U-Net of no preset, pixels")
	c.Flags().Var(whole{value: &o.Heads, least: 1}, "heads", "attention heads of an ADM U-Net of no preset (default one for every 64 channels)")
	c.Flags().Var(oneOf{&o.Schedule, []string{diffusion.LinearSchedule, diffusion.CosineSchedule}}, "noise-schedule", "linear or cosine, of an ADM U-Net with learned variances")
}

// assumed is what was taken for granted about a network, in lines.
func assumed(n *convert.Network) (text string) {
	if n.Own() {
		return ""
	}
	if others := n.Others(); len(others) > 0 {
		text = fmt.Sprintf("took the weights that begin with %q, not those with %q\n", n.Prefix, others)
	}
	if u := n.Description.Architecture.ADM; u != nil {
		text += fmt.Sprintf("attention heads: order %s; if pictures come out wrong, import again with another --head-order\n", u.HeadOrder)
	}
	return text
}

// convertFile hands over the network in a file, to be written to another.
func convertFile(from, to string, o convert.Options, force bool, write func(*convert.Network) error) error {
	if o.Preset != "" {
		if _, err := loadPreset("--preset", o.Preset); err != nil {
			return err
		}
	}
	if err := mayWrite(to, force); err != nil {
		return err
	}
	f, err := convert.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := f.Recognise(o)
	if errors.Is(err, convert.ErrAmbiguous) {
		return fmt.Errorf("%w: %w (--stage, --preset, --resolution, --noise-schedule)", errUsage, err)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return write(n)
}

// use is what a network of this program is good for.
func use(path string, d network.Description) string {
	switch {
	case d.Stage == network.Generator:
		return fmt.Sprintf("pagoda sample --model %s --n 64 --out samples.png", quote(path))
	case d.Preconditioning.Form == "":
		return "a teacher makes no pictures by itself: put it as teacher.safetensors into the folder of a run, then pagoda invert and pagoda distill"
	}
	return fmt.Sprintf("a teacher makes no pictures by itself: put it as teacher.safetensors into the folder of a run, then pagoda invert; no generator can start from preconditioning %q", d.Preconditioning.Form)
}
