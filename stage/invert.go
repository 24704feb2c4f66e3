package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// PairsDir is the folder that Invert leaves: a latent for every image.
const PairsDir = "pairs"

// Invert is the encoder: it solves the probability-flow ODE from every training
// image, brought down to base resolution, to noise; with Data.Mirror from
// every mirror image too. It logs how Gaussian the latents are and how well the
// ODE leads back.
func Invert(ctx context.Context, e *Env) (err error) {
	defer torch.Recover(&err)
	done, err := e.inverted()
	if done {
		e.progress("invert", 0, 0, "done before: "+e.Path(PairsDir))
	}
	if done || err != nil {
		return err
	}
	root := e.scope()
	defer root.Close()
	f, err := e.open(e.Path(TeacherFile), "teacher")
	if err != nil {
		return fmt.Errorf("inversion needs the teacher: %w", err)
	}
	defer f.Close()
	net, err := network.Load(root, f)
	if err != nil {
		return err
	}
	if a, want := net.Description.Architecture, e.architecture(0); a.Channels() != want.Channels() || a.InputSize() != want.InputSize() {
		return fmt.Errorf("inversion: the teacher in %s is of images of %d×%d×%d, the run's are %d×%d×%d", e.Path(TeacherFile),
			a.Channels(), a.InputSize(), a.InputSize(), want.Channels(), want.InputSize(), want.InputSize())
	}
	inv := &inversion{env: e, net: net, work: e.working(root)}
	meta := e.pairsMeta(f.Metadata()["sha256"])
	w, err := pairs.Create(e.Path(PairsDir), meta)
	if err != nil {
		return err
	}
	if err := inv.fill(ctx, w, meta); err != nil {
		return err
	}
	return inv.report(ctx)
}

// inverted tells whether all latents are there and have been measured.
func (e *Env) inverted() (bool, error) {
	store, err := pairs.Open(e.Path(PairsDir))
	for _, unfinished := range []error{pairs.ErrNoStore, pairs.ErrIncomplete, pairs.ErrShard} {
		if errors.Is(err, unfinished) {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	defer store.Close()
	sum := store.Meta().TeacherSHA256
	if teacher, err := checkpoint.Open(e.Path(TeacherFile)); err == nil {
		sum = teacher.Metadata()["sha256"]
		teacher.Close()
	}
	if !e.pairsMeta(sum).Same(store.Meta()) {
		return false, nil // inverting then says what differs
	}
	log, err := e.Run.ReadLog()
	return slices.ContainsFunc(log, func(l checkpoint.LogEntry) bool {
		return l.Stage == "invert" && bytes.Contains(l.Values, []byte(roundTripKey))
	}), err
}

// fill makes the latents that the store lacks.
func (v *inversion) fill(ctx context.Context, w *pairs.Writer, m pairs.Meta) (err error) {
	e := v.env
	first, start := w.Done(), time.Now()
	if err := e.Run.RewindLog("invert", int64(first)); err != nil {
		return err
	}
	done := first
	defer func() { // the first error alone: those of a full disk are all the same
		for _, then := range []error{w.Close(), e.logTime("invert", int64(done), int64(done-first), time.Since(start))} {
			if err == nil {
				err = then
			}
		}
	}()
	e.progress("invert", int64(done), int64(m.Count), "")
	for done < m.Count {
		n := min(e.Config.Invert.Batch, m.Count-done)
		z, err := v.encode(ctx, m, done, n)
		if err != nil {
			return err
		}
		if err := w.Append(z); err != nil {
			return err
		}
		if done == 0 {
			if err := e.Run.Log("invert", int64(n), map[string]float64{"flops_per_image": v.flops / float64(n)}); err != nil {
				return err
			}
		}
		done += n
		e.progress("invert", int64(done), int64(m.Count), "")
	}
	return nil
}

// inversion solves the ODE between images and latents by one teacher.
type inversion struct {
	env   *Env
	net   *network.Network
	work  *torch.Scope
	flops float64 // of the first batch
}

// pairsMeta describes the pairs that the run makes by a teacher.
func (e *Env) pairsMeta(teacher string) pairs.Meta {
	c, count := e.Config.Invert, e.Data.Len()
	if c.Images > 0 {
		count = min(count, c.Images)
	}
	if e.Config.Data.Mirror {
		count *= 2
	}
	r := e.Config.Network.Resolution
	return pairs.Meta{
		Dataset: e.Data.Name, DatasetSHA256: e.Data.SHA256(), Images: e.Data.Len(), TeacherSHA256: teacher, Count: count, Mirror: e.Config.Data.Mirror,
		C: e.Data.C, H: r, W: r, SigmaStart: c.SigmaStart, Noise: c.Noise, Seed: e.Config.Seed, SigmaMax: diffusion.SigmaMax, Steps: c.Steps,
	}
}

// pictures returns the images of the chosen pairs at base resolution, with their classes.
func (v *inversion) pictures(s *torch.Scope, m pairs.Meta, chosen []int) (*torch.Tensor, []int64) {
	pixels, labels := v.env.Data.Gather(m.Of(chosen))
	return images(s, v.env.Data, pixels, v.env.Config.Network.Resolution), int64s(labels)
}

// encode inverts pairs [first,first+n). The path starts at sigma_start, where
// the image lies with noise of that level added: flat areas, such as a black
// background, have no spread, and the ODE would never leave them.
func (v *inversion) encode(ctx context.Context, m pairs.Meta, first, n int) ([]float32, error) {
	s := v.work.Child()
	if first == 0 {
		s = s.CountFLOPs(&v.flops)
	}
	defer s.Close()
	c := v.env.Config.Invert
	x, labels := v.pictures(s, m, pairs.Range(first, n))
	if c.Noise {
		noise := diffusion.Normal(s, v.env.seed("invert", "noise"), int64(first), n, x.Shape()[1:]...)
		x = s.Add(x, s.Scale(noise, c.SigmaStart))
	}
	z, err := diffusion.Heun(s, v.net.Denoiser(labels), x, diffusion.Inversion(c.Steps, c.SigmaStart), stopper(ctx, "inversion"))
	if err != nil {
		return nil, err
	}
	latents := z.Float32s()
	if slices.ContainsFunc(latents, func(v float32) bool { return v-v != 0 }) {
		return nil, errors.New("inversion: the teacher's latents are not finite numbers: its training has come to nothing; train it again with a lower learning rate")
	}
	return latents, nil
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

const roundTripKey = "round_trip_rmse"

// report logs the moments of z/sigma_max and the root mean square error of images led back from their latents.
func (v *inversion) report(ctx context.Context) error {
	store, err := pairs.Open(v.env.Path(PairsDir))
	if err != nil {
		return err
	}
	defer store.Close()
	m := store.Meta()
	count, size, squares := min(roundTripImages, store.Len()), m.C*m.H*m.W, 0.0
	for first, n := range blocks(count, m.H) {
		s := v.work.Child()
		defer s.Close()
		chosen := pairs.Range(first, n)
		for i, k := range chosen {
			chosen[i] = m.Among(k, count)
		}
		x, labels := v.pictures(s, m, chosen)
		z := s.FromFloat32(store.Latents(chosen), n, m.C, m.H, m.W)
		back, err := diffusion.Heun(s, v.net.Denoiser(labels), z, diffusion.Sampling(m.Steps), stopper(ctx, "inversion"))
		if err != nil {
			return err
		}
		squares += s.Sum(s.Square(s.Sub(back, x))).Item()
		s.Close()
	}
	moments, roundTrip := store.Statistics(), math.Sqrt(squares/float64(count*size))
	v.env.progress("invert", int64(m.Count), int64(m.Count), fmt.Sprintf("z/sigma_max has mean %.3f, standard deviation %.3f, kurtosis %.2f (a Gaussian: 0, 1, 3); images come back within %.3f",
		moments.Mean, moments.Std, moments.Kurtosis, roundTrip))
	return v.env.Run.Log("invert", int64(store.Len()), map[string]float64{
		"mean": moments.Mean, "std": moments.Std, "kurtosis": moments.Kurtosis, roundTripKey: roundTrip,
	})
}
