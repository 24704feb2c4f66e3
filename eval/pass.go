package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// shardImages is the number of images that are extracted together, and lie in
// one file of the cache; batchImages of them are in memory as a tensor.
const shardImages, batchImages = 512, 32

// shard is what a network says to consecutive images.
type shard struct {
	features, spatial, logits metrics.Features // without values where the network has none
	labels                    []int            // as the source numbers them; nil when unknown
}

// pass shows the first n images of a source to a network.
type pass struct {
	net   Network
	cache string      // folder; empty for none
	begin func(n int) // is told how many images there will be
	seen  func(n int) // is told of every batch
	step  func(ctx context.Context, part string) metrics.Step
}

// run calls keep with every shard in turn. Shards in the cache are not computed again.
func (p *pass) run(ctx context.Context, source Source, n int, keep func(shard) error) error {
	if err := p.check(source.Info(), n); err != nil {
		return err
	}
	store, err := p.store(source)
	if err != nil {
		return err
	}
	p.begin(n)
	for first := 0; first < n; first += shardImages {
		size := min(shardImages, n-first)
		s, found := store.load(first, size)
		if found {
			p.seen(size)
		} else {
			if s, err = p.extract(ctx, source, first, size); err != nil {
				return err
			}
			if err := store.save(first, s); err != nil {
				return err
			}
		}
		if err := keep(s); err != nil {
			return err
		}
	}
	return nil
}

// check says why the first n images of a source cannot be shown to the network.
func (p *pass) check(info SourceInfo, n int) error {
	if want := p.net.Info().Channels; info.C != want && info.C != 1 {
		return fmt.Errorf("the images of %s have %d channels, %s sees %d", info.Name, info.C, p.net.Info().Name, want)
	}
	return info.check(0, n)
}

// extract computes a shard.
func (p *pass) extract(ctx context.Context, source Source, first, size int) (out shard, err error) {
	for at := first; at < first+size; at += batchImages {
		n := min(batchImages, first+size-at)
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		pixels, labels, err := source.Read(ctx, at, n)
		if err != nil {
			return out, err
		}
		if err := p.answer(source.Info(), pixels, n, &out); err != nil {
			return out, fmt.Errorf("%s, images %d to %d of %s: %w", p.net.Info().Name, at, at+n-1, source.Info().Name, err)
		}
		out.labels = append(out.labels, labels...)
		p.seen(n)
	}
	return out, nil
}

// answer appends the network's answer to a batch.
func (p *pass) answer(info SourceInfo, pixels []uint8, n int, out *shard) (err error) {
	defer torch.Recover(&err)
	s := torch.NewScope(p.net.Info().Device)
	defer s.Close()
	x := s.FromBytes(pixels, torch.Uint8, n, info.C, info.H, info.W)
	if want := p.net.Info().Channels; want != info.C {
		x = s.Expand(x, n, want, info.H, info.W)
	}
	a := p.net.Answer(s, x)
	appendRows(&out.features, a.Features)
	appendRows(&out.spatial, a.Spatial)
	appendRows(&out.logits, a.Logits)
	return nil
}

// appendRows appends the vectors (N,D) of a tensor, if there is one.
func appendRows(f *metrics.Features, x *torch.Tensor) {
	if x != nil {
		f.N, f.D, f.Values = f.N+x.Dim(0), x.Dim(1), append(f.Values, x.Float32s()...)
	}
}
