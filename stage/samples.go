package stage

import (
	"context"
	"fmt"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// TeacherSamplesFile is the picture that SampleTeacher leaves.
const TeacherSamplesFile = "samples-teacher.png"

// SamplesFile is the picture of a generator's samples.
func SamplesFile(resolution int) string { return fmt.Sprintf("samples-%d.png", resolution) }

// ReconstructionsFile is the picture of a generator's reconstructions.
func ReconstructionsFile(resolution int) string {
	return fmt.Sprintf("reconstructions-%d.png", resolution)
}

// SampleTeacher draws the teacher's many-step samples, a row for each class and
// ten columns. Every generator is shown with the same latents.
func SampleTeacher(ctx context.Context, e *Env) error {
	return e.samples(ctx, TeacherSamplesFile, e.openTeacher)
}

// SampleGenerator draws one-step samples of the generator after the n-th growth
// (0: none), as SampleTeacher does, and reconstructions of training images from
// their latents below the images themselves.
func SampleGenerator(ctx context.Context, e *Env, n int) error {
	open := func(s *torch.Scope) (*model, error) { return e.openGenerator(s, n) }
	resolution := e.architecture(n).OutputSize()
	if err := e.samples(ctx, SamplesFile(resolution), open); err != nil {
		return err
	}
	return e.reconstructions(ctx, ReconstructionsFile(resolution), open)
}

// perClass is the number of pictures that a grid shows of each class.
const perClass = 10

// shown are the classes that a grid shows: all, or some at even distances.
func (e *Env) shown() (classes []int64) {
	n := len(e.Data.ClassNames)
	for i := range min(n, 20) {
		classes = append(classes, int64(i*n/min(n, 20)))
	}
	return classes
}

// cell is the least size of a picture in a grid, in pixels.
const cell = 64

func (e *Env) samples(ctx context.Context, file string, open func(*torch.Scope) (*model, error)) error {
	return e.draw(file, open, func(s *torch.Scope, m *model) ([]uint8, int, error) {
		var labels []int64
		for _, class := range e.shown() {
			labels = append(labels, slices.Repeat([]int64{class}, perClass)...)
		}
		size := e.Config.Network.Resolution
		z := diffusion.Latents(s, e.seed("samples", "latents"), 0, len(labels), e.Data.C, size, size)
		x, err := m.generate(ctx, z, labels)
		return x, perClass, err
	})
}

// reconstructions draws two rows of images, one of each class, each over the row of G(z).
func (e *Env) reconstructions(ctx context.Context, file string, open func(*torch.Scope) (*model, error)) error {
	return e.draw(file, open, func(s *torch.Scope, m *model) (picture []uint8, columns int, err error) {
		store, err := OpenPairs(e.Run.Dir, e.Data)
		if err != nil {
			return nil, 0, err
		}
		defer store.Close()
		meta := store.Meta()
		for _, row := range e.oneOfEach(meta, 2) {
			pixels, labels := e.Data.Gather(meta.Of(row))
			x, err := m.generate(ctx, s.FromFloat32(store.Latents(row), len(row), meta.C, meta.H, meta.W), int64s(labels))
			if err != nil {
				return nil, 0, err
			}
			picture = append(picture, toPixels(s, images(s, e.Data, pixels, m.resolution))...)
			picture = append(picture, x...)
			columns = len(row)
		}
		return picture, columns, nil
	})
}

// oneOfEach returns rows of pairs, in each the next one of every class that is shown and has any.
func (e *Env) oneOfEach(m pairs.Meta, rows int) [][]int {
	out := make([][]int, rows)
	shown, seen := e.shown(), make([]int, len(e.Data.ClassNames))
	for pair := range m.Count {
		image, _ := m.Image(pair)
		class := e.Data.Labels[image]
		if row := seen[class]; row < rows && slices.Contains(shown, int64(class)) {
			out[row] = append(out[row], pair)
		}
		seen[class]++
	}
	return slices.DeleteFunc(out, func(row []int) bool { return len(row) < len(out[0]) })
}

// draw writes a grid of the images (n,C,h,w) that a model makes, unless it is there already.
func (e *Env) draw(file string, open func(*torch.Scope) (*model, error), paint func(*torch.Scope, *model) (pixels []uint8, columns int, err error)) (err error) {
	defer torch.Recover(&err)
	if e.done(file) {
		return nil
	}
	s := e.scope()
	defer s.Close()
	m, err := open(s)
	if err != nil {
		return err
	}
	pixels, columns, err := paint(s, m)
	if err != nil {
		return err
	}
	n := len(pixels) / (e.Data.C * m.resolution * m.resolution)
	scale := max(1, cell/m.resolution)
	return data.WritePNG(e.Path(file), data.Grid(pixels, n, e.Data.C, m.resolution, m.resolution, columns, scale))
}

// model is a trained network of the run that makes images.
type model struct {
	net        *network.Network
	work       *torch.Scope
	resolution int
	steps      int    // of the ODE solver; 0 for a one-step generator
	path       string // of its file
	sha256     string // of the file
}

// openTeacher opens the teacher as a sampler of as many steps as the inversion, in the run's precision.
func (e *Env) openTeacher(s *torch.Scope) (*model, error) {
	return openModel(s, e.Path(TeacherFile), e.working(s), e.Config.Invert.Steps)
}

// openGenerator opens the generator after the n-th growth, in float32.
func (e *Env) openGenerator(s *torch.Scope, n int) (*model, error) {
	return openModel(s, e.Path(GeneratorFile(e.architecture(n).OutputSize())), s, 0)
}

// openModel keeps the weights in s and computes in the mode of work.
func openModel(s *torch.Scope, path string, work *torch.Scope, steps int) (*model, error) {
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		return nil, fmt.Errorf("samples need the network: %w", err)
	}
	defer f.Close()
	net, err := network.Load(s, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &model{net, work, net.Description.Architecture.OutputSize(), steps, path, f.SHA256()}, nil
}

// generate makes 8-bit images (n,C,resolution,resolution) from latents (n,C,h,w) of the given classes.
func (m *model) generate(ctx context.Context, z *torch.Tensor, labels []int64) (pixels []uint8, err error) {
	stop := stopper(ctx, "sampling")
	for first, n := range blocks(len(labels), m.resolution) {
		s := m.work.NoGrad()
		defer s.Close()
		x, labels := s.Narrow(z, 0, first, n), labels[first:first+n]
		if m.steps == 0 {
			x, err = m.net.Generate(s, x, labels), stop()
		} else {
			x, err = diffusion.Heun(s, m.net.Denoiser(labels), x, diffusion.Sampling(m.steps), stop)
		}
		if err != nil {
			return nil, err
		}
		pixels = append(pixels, toPixels(s, x)...)
		s.Close()
	}
	return pixels, nil
}

// toPixels rounds images in [-1,1] to 8 bits.
func toPixels(s *torch.Scope, x *torch.Tensor) []uint8 {
	return s.Clamp(s.Affine(x, 127.5, 128), 0, 255).Uint8s()
}
