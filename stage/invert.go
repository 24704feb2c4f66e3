package stage

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// PairsDir is the folder that Invert leaves: a latent for every image.
const PairsDir = "pairs"

// Invert is the encoder: it solves the probability-flow ODE from every training
// image, brought down to base resolution, to noise; with Data.Mirror from
// every mirror image too. It logs how Gaussian the latents are and how well the
// ODE leads back.
func Invert(ctx context.Context, e *Env) (err error) {
	defer torch.Recover(&err)
	if _, err := pairs.Open(e.Path(PairsDir)); err == nil {
		return nil
	} else if !errors.Is(err, pairs.ErrIncomplete) && !errors.Is(err, pairs.ErrNoStore) {
		return err
	}
	root := e.scope()
	defer root.Close()
	f, err := checkpoint.OpenVerified(e.Path(TeacherFile))
	if err != nil {
		return fmt.Errorf("inversion needs the teacher: %w", err)
	}
	defer f.Close()
	net, _, _, err := unet.Load(root, f)
	if err != nil {
		return err
	}
	inv := &inversion{e, net, e.working(root)}
	meta := inv.meta(f.Metadata()["sha256"])
	w, err := pairs.Create(e.Path(PairsDir), meta)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := e.Run.RewindLog("invert", -1); err != nil {
		return err
	}
	for done := w.Done(); done < meta.Count; {
		n := min(e.Config.Invert.Batch, meta.Count-done)
		z, err := inv.encode(ctx, meta, done, n)
		if err != nil {
			return errors.Join(err, w.Close())
		}
		if err := w.Append(z); err != nil {
			return err
		}
		done += n
		e.progress("invert", int64(done), int64(meta.Count), "")
	}
	if err := w.Close(); err != nil {
		return err
	}
	return inv.report(ctx)
}

// inversion solves the ODE between images and latents by one teacher.
type inversion struct {
	env  *Env
	net  *unet.UNet
	work *torch.Scope
}

func (v *inversion) meta(teacher string) pairs.Meta {
	e := v.env
	count := e.Data.Len()
	if n := e.Config.Invert.Images; n > 0 {
		count = min(count, n)
	}
	if e.Config.Data.Mirror {
		count *= 2
	}
	r := e.Config.Network.Resolution
	return pairs.Meta{
		Dataset: e.Data.Name, DatasetSHA256: e.Data.SHA256(), Count: count, Mirror: e.Config.Data.Mirror,
		C: e.Data.C, H: r, W: r, SigmaMax: diffusion.SigmaMax, Steps: e.Config.Invert.Steps, TeacherSHA256: teacher,
	}
}

// pictures returns images [first,first+n) of the pair order at base resolution, with their classes.
func (v *inversion) pictures(s *torch.Scope, m pairs.Meta, first, n int) (*torch.Tensor, []int64) {
	indices, mirrored := make([]int, n), make([]bool, n)
	for i := range n {
		indices[i], mirrored[i] = m.Image(first + i)
	}
	pixels, labels := v.env.Data.Gather(indices, mirrored)
	return images(s, v.env.Data, pixels, v.env.Config.Network.Resolution), int64s(labels)
}

// encode inverts pairs [first,first+n). The path starts at sigma_start, where
// the image lies with noise of that level added: flat areas, such as a black
// background, have no spread, and the ODE would never leave them.
func (v *inversion) encode(ctx context.Context, m pairs.Meta, first, n int) ([]float32, error) {
	s := v.work.Child()
	defer s.Close()
	c := v.env.Config.Invert
	x, labels := v.pictures(s, m, first, n)
	if c.Noise {
		noise := diffusion.Normal(s, v.env.seed("invert", "noise"), int64(first), n, x.Shape()[1:]...)
		x = s.Add(x, s.Scale(noise, c.SigmaStart))
	}
	z, err := diffusion.Heun(s, diffusion.Denoise(v.net, labels), x, diffusion.Inversion(c.Steps, c.SigmaStart), stopper(ctx, "inversion"))
	if err != nil {
		return nil, err
	}
	return z.Float32s(), nil
}

// stopper stops a solution when ctx is cancelled.
func stopper(ctx context.Context, what string) func() error {
	return func() error {
		if ctx.Err() != nil {
			return interrupted(ctx, what)
		}
		return nil
	}
}

// roundTripImages is the number of images that are led back to measure the ODE's error.
const roundTripImages = 500

// report logs the moments of z/sigma_max and the root mean square error of images led back from their latents.
func (v *inversion) report(ctx context.Context) error {
	store, err := pairs.Open(v.env.Path(PairsDir))
	if err != nil {
		return err
	}
	s := v.work.Child()
	defer s.Close()
	m := store.Meta()
	n := min(roundTripImages, store.Len())
	x, labels := v.pictures(s, m, 0, n)
	z := s.FromFloat32(store.Latents()[:n*m.C*m.H*m.W], n, m.C, m.H, m.W)
	back, err := diffusion.Heun(s, diffusion.Denoise(v.net, labels), z, diffusion.Sampling(m.Steps), stopper(ctx, "inversion"))
	if err != nil {
		return err
	}
	moments := store.Statistics()
	return v.env.Run.Log("invert", int64(store.Len()), map[string]float64{
		"mean": moments.Mean, "std": moments.Std, "kurtosis": moments.Kurtosis,
		"round_trip_rmse": math.Sqrt(s.Mean(s.Square(s.Sub(back, x))).Item()),
	})
}
