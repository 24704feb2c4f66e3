package pagoda

import (
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/torch"
)

// block is the number of pictures computed together, 64 GFLOP of them or one:
// always the same for a model, the last block being filled up, because kernels
// add in another order when they get another number of images, and now and then
// a pixel would differ by one. More at a time gain little (7 % at 64 small
// pictures), fewer make one picture quicker and take less memory.
func (i Info) block() int { return int(max(1, min(16, 64e9/i.FLOPs))) }

// Request says which pictures to make.
type Request struct {
	N     int    // how many
	First int    // number of the first one: pictures First to First+N-1, a part of a larger set
	Seed  uint64 // picture i depends on the seed, i and its class alone
	// Classes of the pictures: picture i is of Classes[i%len(Classes)]. Empty
	// means all classes in turn.
	Classes []int
	// Progress, when not nil, is told now and then how many of the N pictures are done.
	Progress func(done, total int)
}

// Generate makes pictures: image.Gray for models with one channel, image.RGBA
// for those with three. The same request always gives the same pictures on the
// same machine. It returns [ErrClass], [ErrClosed], and the context's error
// soon after the context is done.
func (m *Model) Generate(ctx context.Context, r Request) ([]image.Image, error) {
	pixels, _, err := m.Pixels(ctx, r)
	if err != nil {
		return nil, err
	}
	return data.ToImages(pixels, r.N, m.info.Channels, m.info.Resolution, m.info.Resolution), nil
}

// Pixels is [Model.Generate] for those who want bytes: pixels (N,C,H,W) with
// values 0 to 255, and the classes (N), zeros for an unconditional model.
func (m *Model) Pixels(ctx context.Context, r Request) (pixels []uint8, classes []int64, err error) {
	r.Classes = slices.Clone(r.Classes) // which others may read until their block is done
	for _, class := range r.Classes {
		if err := m.info.check(class); err != nil {
			return nil, nil, err
		}
	}
	if r.N < 0 {
		return nil, nil, fmt.Errorf("cannot make %d pictures", r.N)
	}
	if r.First < 0 || r.First > math.MaxInt-r.N-m.info.block() {
		return nil, nil, fmt.Errorf("there is no picture %d", r.First)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if pixels, err = m.queue.await(ctx, r, m.info.block(), m.generate); err != nil {
		return nil, nil, err
	}
	return pixels, m.labels(r, r.First, r.N), nil
}

// labels are the classes of n pictures of a request.
func (m *Model) labels(r Request, first, n int) []int64 {
	labels := make([]int64, n)
	for i := range labels {
		switch {
		case len(r.Classes) > 0:
			labels[i] = int64(r.Classes[(first+i)%len(r.Classes)])
		case len(m.info.Classes) > 0:
			labels[i] = int64((first + i) % len(m.info.Classes))
		}
	}
	return labels
}

// generate makes the pictures of a block. The last share is made longer where they are too few.
func (m *Model) generate(shares []share) (pixels []uint8, err error) {
	m.mu.RLock() // against Close
	defer m.mu.RUnlock()
	if m.closed {
		return nil, ErrClosed
	}
	c := m.info.Architecture
	err = m.thread.Do(func() error {
		s := m.work.Child()
		defer s.Close()
		var latents []*torch.Tensor
		var labels []int64
		wanted, missing := 0, m.info.block()
		for i, part := range shares {
			wanted, missing = wanted+part.n, missing-part.n
			n := part.n
			if i == len(shares)-1 {
				n += missing
			}
			latents = append(latents, diffusion.Latents(s, part.Seed, int64(part.first), n, c.Channels(), c.InputSize(), c.InputSize()))
			labels = append(labels, m.labels(part.Request, part.first, n)...)
		}
		x := s.Clamp(m.net.Generate(s, s.Cat(0, latents...), labels), -1, 1)
		pixels = s.Affine(x, 127.5, 128).Uint8s() // the half rounds, the conversion cuts
		pixels = pixels[:wanted*len(pixels)/len(labels)]
		return nil
	})
	return pixels, err
}
