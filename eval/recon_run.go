package eval

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// ReconstructRun compares what a run's generator makes of the latents of its
// pairs with the images they were inverted from, brought down to the generator's
// resolution by averaging areas. The name is that of a run's folder, for its last
// generator, or of a generator's file in it. The run may be training meanwhile.
func ReconstructRun(ctx context.Context, name string, o ReconstructionOptions) (r *Result, err error) {
	defer torch.Recover(&err)
	if err := torch.Load(); err != nil {
		return nil, err
	}
	dir, file := name, ""
	if strings.EqualFold(filepath.Ext(name), ".safetensors") {
		dir, file = filepath.Dir(name), name
	}
	c, _, err := stage.Survey(dir)
	if err != nil {
		return nil, err
	}
	if file == "" {
		resolutions := []int{c.Network.Resolution}
		for _, g := range c.Grow {
			resolutions = append(resolutions, g.Resolution)
		}
		for _, resolution := range slices.Backward(resolutions) {
			file = filepath.Join(dir, stage.GeneratorFile(resolution))
			if _, err := os.Stat(file); err == nil {
				break
			}
		}
	}
	if o.Data != "" {
		c.Data = c.Data.At(o.Data)
	}
	images, err := stage.Images(c.Data, data.Train)
	if err != nil {
		return nil, err
	}
	defer images.Close()
	store, err := stage.OpenPairs(dir, images)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	made, err := openReconstructions(file, o.Generation, images, store)
	if err != nil {
		return nil, err
	}
	defer made.Close()
	originals, err := sameSize(newPairSource(images, store.Meta()), made.Info())
	if err != nil {
		return nil, err
	}
	n := made.Info().N
	if o.N > 0 {
		n = o.N
	}
	a, err := subset(originals, n, o.Seed)
	if err != nil {
		return nil, err
	}
	b, err := subset(made, n, o.Seed)
	if err != nil {
		return nil, err
	}
	return o.compare(ctx, a, b)
}

// pairSource are the images of a run's pairs, mirrored ones included.
type pairSource struct {
	images *data.Dataset
	meta   pairs.Meta
	info   SourceInfo
}

func newPairSource(images *data.Dataset, m pairs.Meta) *pairSource {
	info := newDatasetSource(images.Name+", the images of the pairs", images).info
	info.N = m.Count
	return &pairSource{images, m, info}
}

func (p *pairSource) Info() SourceInfo { return p.info }

func (p *pairSource) Read(_ context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	if err := p.info.check(first, n); err != nil {
		return nil, nil, err
	}
	pixels, classes := p.images.Gather(p.meta.Of(pairs.Range(first, n)))
	for _, c := range classes {
		labels = append(labels, int(c))
	}
	return pixels, labels, nil
}

func (p *pairSource) Close() error { return nil }

// reconstructionSource is what a generator makes of the latents of pairs, in
// whatever batches they are read.
type reconstructionSource struct {
	*pairSource
	store       *pairs.Store
	scope, work *torch.Scope
	net         *network.Network
	info        SourceInfo
}

func openReconstructions(path string, g Generation, images *data.Dataset, store *pairs.Store) (*reconstructionSource, error) {
	weights, err := describeModel(path)
	if err != nil {
		return nil, err
	}
	if weights.Stage != network.Generator {
		return nil, fmt.Errorf("%s holds no generator: only those reconstruct", path)
	}
	net, scope, work, err := loadNetwork(path, weights, g)
	if err != nil {
		return nil, err
	}
	weights.Order = "of the pairs"
	c, m := net.Description.Architecture, store.Meta()
	r := &reconstructionSource{newPairSource(images, m), store, scope, work, net, SourceInfo{
		Name: path + " from the latents of the pairs", N: m.Count, C: c.Channels(), H: c.OutputSize(), W: c.OutputSize(), Digest: weights.SHA256, Model: weights,
	}}
	if c.Channels() != m.C || c.InputSize() != m.H || c.InputSize() != m.W {
		scope.Close()
		return nil, fmt.Errorf("%s takes latents of %d×%d×%d, those of the pairs are %d×%d×%d", path, c.Channels(), c.InputSize(), c.InputSize(), m.C, m.H, m.W)
	}
	return r, nil
}

func (r *reconstructionSource) Info() SourceInfo { return r.info }

func (r *reconstructionSource) Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	defer torch.Recover(&err)
	if _, labels, err = r.pairSource.Read(ctx, first, n); err != nil {
		return nil, nil, err
	}
	s := r.work.NoGrad()
	defer s.Close()
	classes := make([]int64, n)
	for i, l := range labels {
		classes[i] = int64(l)
	}
	m := r.store.Meta()
	z := s.FromFloat32(r.store.Latents(pairs.Range(first, n)), n, m.C, m.H, m.W)
	return bytesOf(s, r.net.Generate(s, z, classes)), labels, nil
}

func (r *reconstructionSource) Close() error {
	r.scope.Close()
	return nil
}
