// Measure tells how a run's generators agree with one another and with the
// pictures they reconstruct: whether a picture stays in its place while it grows,
// and how sharp it is.
//
//	go run ./examples/openmoji/measure RUN...
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

const (
	pictures = 512 // of each kind: reconstructions, and samples from fresh noise
	together = 16
)

func main() {
	runtime.LockOSThread()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "run\tpixels\tkind\terror\tdrift\tshift\tgradient\tdetail")
	for _, dir := range os.Args[1:] {
		if err := measure(out, dir); err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s: %v\n", dir, err)
			os.Exit(1)
		}
	}
	out.Flush()
	fmt.Println(legend)
}

const legend = `
error     reconstructions: rms difference from the picture, in grey levels of 255
drift     rms difference from the base generator's output for the same latent, once brought down to its size
shift     by how many pixels of the base resolution that must be moved to fit best, mean
gradient  mean length of the brightness gradient, real pictures = 1
detail    energy that halving the size loses, real pictures = 1`

// measure prints a line for each generator in a run's folder and kind of picture.
func measure(out *tabwriter.Writer, dir string) (err error) {
	defer torch.Recover(&err)
	text, err := os.ReadFile(filepath.Join(dir, "config.toml"))
	if err != nil {
		return err
	}
	c, err := config.Parse(text)
	if err != nil {
		return err
	}
	train, err := stage.Images(c.Data, data.Train)
	if err != nil {
		return err
	}
	defer train.Close()
	if err := torch.Load(); err != nil {
		return err
	}
	root := torch.NewScope(torch.CPU)
	defer root.Close()
	reconstructed, real, err := inverted(root, dir, train)
	if err != nil {
		return err
	}
	kinds := []set{reconstructed, sampled(root, c, len(train.ClassNames))}
	var base [2]*torch.Tensor
	for n := range len(c.Grow) + 1 {
		path := filepath.Join(dir, stage.GeneratorFile(c.Generator(n).OutputSize()))
		if _, err := os.Stat(path); err != nil {
			continue
		}
		s := root.Child()
		for i, kind := range kinds {
			x, err := kind.generate(s, path)
			if err != nil {
				return err
			}
			size := x.Dim(2)
			truth := s.Resize(real, size, size, torch.Area)
			if base[i] == nil {
				base[i] = root.Clone(x)
			}
			small := s.Resize(x, base[i].Dim(2), base[i].Dim(2), torch.Area)
			fitting := "–"
			if i == 0 {
				fitting = fmt.Sprintf("%.1f", difference(s, x, truth))
			}
			fmt.Fprintf(out, "%s\t%d\t%s\t%s\t%.1f\t%.2f\t%.2f\t%.2f\n", filepath.Base(dir), size, kind.name, fitting,
				difference(s, small, base[i]), shift(base[i], small),
				gradient(s, x)/gradient(s, truth), detail(s, x)/detail(s, truth))
		}
		s.Close()
	}
	return nil
}

// set is latents (N,C,h,w) with their classes.
type set struct {
	name    string
	latents *torch.Tensor
	labels  []int64
}

// inverted takes pairs at even distances, and their pictures (N,C,H,W) in [-1,1].
func inverted(s *torch.Scope, dir string, d *data.Dataset) (set, *torch.Tensor, error) {
	store, err := stage.OpenPairs(dir, d)
	if err != nil {
		return set{}, nil, err
	}
	defer store.Close()
	m := store.Meta()
	n := min(pictures, m.Count)
	chosen := pairs.Range(0, n)
	for i, k := range chosen {
		chosen[i] = m.Among(k, n)
	}
	pixels, classes := d.Gather(m.Of(chosen))
	labels := make([]int64, n)
	for i, class := range classes {
		labels[i] = int64(class)
	}
	real := s.Affine(s.To(s.FromBytes(pixels, torch.Uint8, n, d.C, d.H, d.W), torch.Float32), 1/127.5, -1)
	return set{"reconstructed", s.FromFloat32(store.Latents(chosen), n, m.C, m.H, m.W), labels}, real, nil
}

// sampled draws latents from the prior, classes in turn.
func sampled(s *torch.Scope, c *config.Config, classes int) set {
	size := c.Network.Resolution
	labels := make([]int64, pictures)
	for i := range labels {
		labels[i] = int64(i % classes)
	}
	return set{"sampled", diffusion.Latents(s, 1, 0, pictures, c.Data.Channels, size, size), labels}
}

// generate lets the generator in a file make the pictures (N,C,H,W), cut to [-1,1].
func (k set) generate(s *torch.Scope, path string) (*torch.Tensor, error) {
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	work := s.Child()
	defer work.Close()
	net, err := network.Load(work, f)
	if err != nil {
		return nil, err
	}
	var parts []*torch.Tensor
	for first := 0; first < len(k.labels); first += together {
		n := min(together, len(k.labels)-first)
		batch := work.Child()
		x := net.Generate(batch, batch.Narrow(k.latents, 0, first, n), k.labels[first:first+n])
		parts = append(parts, work.Clone(batch.Clamp(x, -1, 1)))
		batch.Close()
	}
	return s.Cat(0, parts...), nil
}
