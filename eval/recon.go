package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// Distance is a learnt distance between images, such as LPIPS.
type Distance interface {
	Info() NetworkInfo
	// Between returns the distance (N) of every pair of the uint8 images (N,Info().Channels,H,W).
	Between(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor
	Close()
}

// Reconstruction is how close images come to their originals.
type Reconstruction struct {
	Originals SourceInfo   `json:"originals"`
	Images    SourceInfo   `json:"reconstructions"`
	Count     int          `json:"count"`
	Distance  *NetworkInfo `json:"distance,omitempty"`
	Figures   []Figure     `json:"figures"`
	Warnings  []string     `json:"warnings,omitempty"`
}

// Reconstruct compares every image of one source with its original, the image of
// the same number in the other: PSNR and SSIM (7×7 uniform windows, as
// scikit-image) of the 8-bit images, and the distance if it is not nil; means
// over the images.
func Reconstruct(ctx context.Context, originals, images string, distance Distance, progress Progress) (*Reconstruction, error) {
	a, err := Open(originals, Generation{})
	if err != nil {
		return nil, fmt.Errorf("the originals: %w", err)
	}
	defer a.Close()
	b, err := Open(images, Generation{})
	if err != nil {
		return nil, fmt.Errorf("the reconstructions: %w", err)
	}
	defer b.Close()
	r := &Reconstruction{Originals: a.Info(), Images: b.Info(), Count: a.Info().N}
	if r.Originals.Model != nil || r.Images.Model != nil {
		return nil, fmt.Errorf("a model's samples are no reconstructions: name images")
	}
	if x, y := r.Originals, r.Images; x.N != y.N || x.C != y.C || x.H != y.H || x.W != y.W {
		return nil, fmt.Errorf("%d images %d×%d with %d channels in %s, %d of %d×%d with %d in %s: every image needs its original, in the same size",
			x.N, x.H, x.W, x.C, x.Name, y.N, y.H, y.W, y.C, y.Name)
	}
	pairs := &pairs{distance: distance}
	for first := 0; first < r.Count; first += batchImages {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n := min(batchImages, r.Count-first)
		if err := pairs.add(ctx, a, b, first, n); err != nil {
			return nil, err
		}
		if progress != nil {
			progress("pairs", int64(first+n), int64(r.Count), "")
		}
	}
	pairs.report(r)
	return r, nil
}

// pairs gathers what every pair of images is worth.
type pairs struct {
	distance              Distance
	psnr, ssim, distances []float64
}

func (p *pairs) add(ctx context.Context, a, b Source, first, n int) (err error) {
	defer torch.Recover(&err)
	x, _, err := a.Read(ctx, first, n)
	if err != nil {
		return err
	}
	y, _, err := b.Read(ctx, first, n)
	if err != nil {
		return err
	}
	info := a.Info()
	psnr, err := metrics.PSNR(interleaved(x, n, info), interleaved(y, n, info))
	if err != nil {
		return err
	}
	ssim, err := metrics.SSIM(interleaved(x, n, info), interleaved(y, n, info), metrics.Uniform7)
	if err != nil {
		return err
	}
	p.psnr, p.ssim = append(p.psnr, psnr...), append(p.ssim, ssim...)
	if p.distance == nil {
		return nil
	}
	net := p.distance.Info()
	s := torch.NewScope(net.Device)
	defer s.Close()
	tensor := func(pixels []uint8) *torch.Tensor {
		return s.Expand(s.FromBytes(pixels, torch.Uint8, n, info.C, info.H, info.W), n, net.Channels, info.H, info.W)
	}
	p.distances = append(p.distances, p.distance.Between(s, tensor(x), tensor(y)).Float64s()...)
	return nil
}

// interleaved are images (N,C,H,W) with their channels last.
func interleaved(pixels []uint8, n int, info SourceInfo) metrics.Images {
	out := metrics.Images{N: n, H: info.H, W: info.W, C: info.C, Pixels: make([]uint8, len(pixels))}
	size := info.bytes()
	for i := 0; i < len(pixels); i += size {
		channelsLast(out.Pixels[i:i+size], pixels[i:i+size], info.C)
	}
	return out
}

func (p *pairs) report(r *Reconstruction) {
	var f figures
	var finite []float64 // equal images have no finite PSNR
	for _, v := range p.psnr {
		if !math.IsInf(v, 1) {
			finite = append(finite, v)
		}
	}
	if equal := len(p.psnr) - len(finite); equal > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d of %d images equal their originals; they have no finite PSNR and are left out of its mean", equal, len(p.psnr)))
	}
	if len(finite) > 0 {
		f.add("psnr", "PSNR in dB", "higher", metrics.Mean(finite), "8 bits, mean over images")
	}
	f.add("ssim", "SSIM", "higher", metrics.Mean(p.ssim), "7×7 uniform windows, mean over images")
	if p.distance != nil {
		info := p.distance.Info()
		r.Distance = &info
		f.add("distance", info.Name, "lower", metrics.Mean(p.distances), info.Input)
	}
	r.Figures = merge([]figures{f})
}
