package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// teacherSteps is the number of solver steps of a teacher without a run, EDM's for ImageNet.
const teacherSteps = 40

// teacherBlock is the number of images that are computed together, always the
// same: kernels add in another order when they get another number of images.
const teacherBlock = 16

// teacherSource solves a diffusion teacher's ODE for the images that are read, and keeps none.
type teacherSource struct {
	scope, work *torch.Scope
	net         *network.Network
	seed        uint64
	info        SourceInfo
}

// openNetworkSource opens a generator, or a teacher.
func openNetworkSource(path string, g Generation) (Source, error) {
	weights, err := describeModel(path)
	if err != nil {
		return nil, err
	}
	if weights.Stage != network.Teacher {
		return openModel(path, weights, g)
	}
	return openTeacher(path, weights, g)
}

func openTeacher(path string, weights *ModelInfo, g Generation) (t *teacherSource, err error) {
	defer torch.Recover(&err)
	net, scope, work, err := loadNetwork(path, weights, g)
	if err != nil {
		return nil, err
	}
	weights.Steps = g.Steps
	if c, _, err := stage.Survey(filepath.Dir(path)); weights.Steps == 0 && err == nil {
		weights.Steps = c.Invert.Steps
	}
	weights.Steps = cmp.Or(weights.Steps, teacherSteps)
	d := net.Description
	classes := d.ClassList()
	weights.inTurn(classes)
	size := d.Architecture.OutputSize()
	return &teacherSource{scope, work, net, g.Seed, SourceInfo{
		Name: path, C: d.Architecture.Channels(), H: size, W: size, Classes: classes, Digest: weights.SHA256, Model: weights,
	}}, nil
}

// loadNetwork loads a network into a scope; work is a child of it in the
// precision of products, which weights is told.
func loadNetwork(path string, weights *ModelInfo, g Generation) (net *network.Network, scope, work *torch.Scope, err error) {
	device, err := torch.ParseDevice(g.Device)
	if err != nil {
		return nil, nil, nil, err
	}
	compute, err := torch.ParsePrecision(g.Precision, device)
	if err != nil {
		return nil, nil, nil, err
	}
	weights.Precision = compute.String()
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, nil, nil, err
	}
	defer file.Close()
	if err := file.Verify(); errors.Is(err, checkpoint.ErrChecksum) {
		return nil, nil, nil, fmt.Errorf("%s is damaged, get or make it again: %w", path, err)
	}
	scope = torch.NewScope(device)
	if net, err = network.Load(scope, file); err != nil {
		scope.Close()
		return nil, nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return net, scope, scope.WithCompute(compute), nil
}

// withSeed is the same teacher with other images.
func (t *teacherSource) withSeed(seed uint64) Source {
	other := *t
	other.seed = seed
	return &other
}

func (t *teacherSource) Info() SourceInfo { return t.info }

func (t *teacherSource) Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	defer torch.Recover(&err)
	if err := t.info.check(first, n); err != nil {
		return nil, nil, err
	}
	for done := 0; done < n; done += teacherBlock {
		classes := make([]int64, teacherBlock)
		for i := range classes {
			classes[i] = int64((first + done + i) % max(1, len(t.info.Classes)))
		}
		block, err := t.images(ctx, first+done, classes)
		if err != nil {
			return nil, nil, err
		}
		some := min(teacherBlock, n-done)
		pixels = append(pixels, block[:some*t.info.bytes()]...)
		for _, c := range classes[:some] {
			labels = append(labels, int(c))
		}
	}
	if len(t.info.Classes) == 0 {
		labels = nil
	}
	return pixels, labels, nil
}

// images solves the ODE from the latents of image first and those after it.
func (t *teacherSource) images(ctx context.Context, first int, classes []int64) ([]uint8, error) {
	s := t.work.NoGrad()
	defer s.Close()
	c := t.net.Description.Architecture
	z := diffusion.Latents(s, t.seed, int64(first), len(classes), c.Channels(), c.InputSize(), c.InputSize())
	x, err := diffusion.Heun(s, t.net.Denoiser(classes), z, diffusion.Sampling(t.info.Model.Steps), func() error { return context.Cause(ctx) })
	if err != nil {
		return nil, err
	}
	return bytesOf(s, x), nil
}

// bytesOf rounds images in [-1,1] to 8 bits.
func bytesOf(s *torch.Scope, x *torch.Tensor) []uint8 {
	return s.Clamp(s.Affine(x, 127.5, 128), 0, 255).Uint8s() // the half rounds, the conversion cuts
}

func (t *teacherSource) Close() error {
	t.scope.Close()
	return nil
}
