package eval

import (
	"context"
	"fmt"
	"math"
	"path"
	"runtime"
	"strings"

	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// Distance is a learnt distance between images, such as LPIPS.
type Distance interface {
	// Info describes the network behind it.
	Info() NetworkInfo
	// Between returns the distance (N) of every pair of the uint8 images (N,Info().Channels,H,W).
	Between(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor
	// Close frees the weights.
	Close()
}

// ReconstructionOptions say how to compare images with their originals.
type ReconstructionOptions struct {
	Distance Distance // nil for none
	Variants bool     // other definitions in use, too: see [Reconstruct]
	Progress Progress // nil for none

	// Of a run's reconstructions only:
	N    int    // pairs, drawn at random where there are more; 0 means all
	Data string // where the images are, when not where the configuration says
	Generation
}

// Reconstruct compares every image of one source with its original, the image of
// the same number in the other: PSNR and SSIM (7×7 uniform windows, as
// scikit-image) of the 8-bit images, and the distance; means over the images. The
// variants are SSIM with the 11×11 Gaussian windows of Wang et al. 2004, and PSNR
// and SSIM as PaGoDA's code computes them, of whole batches.
func Reconstruct(ctx context.Context, originals, images string, o ReconstructionOptions) (*Result, error) {
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
	if a.Info().Model != nil || b.Info().Model != nil {
		return nil, fmt.Errorf("a model's samples are no reconstructions: name images, or its run alone")
	}
	return o.compare(ctx, a, b)
}

// compare compares the images of b with those of the same number in a.
func (o ReconstructionOptions) compare(ctx context.Context, a, b Source) (*Result, error) {
	runtime.LockOSThread() // see torch.Thread
	defer runtime.UnlockOSThread()
	x, y := a.Info(), b.Info()
	if x.N != y.N || x.C != y.C || x.H != y.H || x.W != y.W {
		return nil, fmt.Errorf("%d images %d×%d with %d channels in %s, %d of %d×%d with %d in %s: every image needs its original, in the same size",
			x.N, x.H, x.W, x.C, x.Name, y.N, y.H, y.W, y.C, y.Name)
	}
	r := &Result{Protocol: Protocol{Samples: y, Count: y.N, Real: &RealInfo{Source: &x, Count: x.N}, Precision: "8-bit images; float64"}}
	device := torch.CPU
	if o.Distance != nil {
		net := o.Distance.Info()
		r.Protocol.Network, device = &net, net.Device
		r.Protocol.Precision += "; network float32"
		if net.Channels != y.C {
			r.Protocol.Channels = fmt.Sprintf("grey repeated to %d channels", net.Channels)
		}
	}
	var err error
	if r.Protocol.Engine, err = engine(device); err != nil {
		return nil, err
	}
	if first, second := differentNames(a, b); first != "" {
		r.warn("the files have different names and are paired in their order: %s with %s, and so on", second, first)
	}
	p := &pairing{distance: o.Distance, variants: o.Variants}
	for first := 0; first < y.N; first += batchImages {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n := min(batchImages, y.N-first)
		if err := p.add(ctx, a, b, first, n); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress("pairs", int64(first+n), int64(y.N), "")
		}
	}
	p.report(r)
	return r, nil
}

// differentNames returns the names of the first files of two folders or archives
// that are paired but not named alike; endings do not count.
func differentNames(a, b Source) (first, second string) {
	x, isFiles := a.(*fileSource)
	y, areFiles := b.(*fileSource)
	if !isFiles || !areFiles {
		return "", ""
	}
	stem := func(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }
	for i, name := range x.files.Names {
		if other := y.files.Names[i]; stem(name) != stem(other) {
			return name, other
		}
	}
	return "", ""
}

// pairing gathers what every pair of images is worth.
type pairing struct {
	distance              Distance
	variants              bool
	psnr, ssim, distances []float64

	gaussian                     []float64 // of the images
	publishedPSNR, publishedSSIM []float64 // of the batches
}

func (p *pairing) add(ctx context.Context, a, b Source, first, n int) (err error) {
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
	if p.variants {
		if err := p.addVariants(interleaved(x, n, info), interleaved(y, n, info)); err != nil {
			return err
		}
	}
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

// leastBatch is the size of the windows that published SSIM puts across images.
const leastBatch = 7

// addVariants computes what others report; a last batch that is too small counts in none of the published ones.
func (p *pairing) addVariants(a, b metrics.Images) error {
	gaussian, err := metrics.SSIM(a, b, metrics.Gaussian11)
	if err != nil {
		return err
	}
	p.gaussian = append(p.gaussian, gaussian...)
	if a.N < leastBatch {
		return nil
	}
	psnr, err := metrics.PSNRAsPublished(a, b)
	if err != nil {
		return err
	}
	ssim, err := metrics.SSIMAsPublished(a, b)
	if err != nil {
		return err
	}
	p.publishedPSNR, p.publishedSSIM = append(p.publishedPSNR, psnr), append(p.publishedSSIM, ssim)
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

func (p *pairing) report(r *Result) {
	var f figures
	var finite []float64 // equal images have no finite PSNR
	for _, v := range p.psnr {
		if !math.IsInf(v, 1) {
			finite = append(finite, v)
		}
	}
	if equal := len(p.psnr) - len(finite); equal > 0 {
		r.warn("%d of %d images equal their originals; they have no finite PSNR and are left out of its mean", equal, len(p.psnr))
	}
	if len(finite) > 0 {
		f.add("psnr", "PSNR in dB", "higher", metrics.Mean(finite), "8 bits, mean over images")
	}
	f.add("ssim", "SSIM", "higher", metrics.Mean(p.ssim), "7×7 uniform windows, mean over images")
	if p.variants {
		f.add("ssim_gaussian", "SSIM, Gaussian", "higher", metrics.Mean(p.gaussian), "11×11 Gaussian windows, σ 1.5, mean over images")
	}
	if len(p.publishedPSNR) > 0 {
		note := fmt.Sprintf("batches of %d as PaGoDA's code, mean over batches", batchImages)
		f.add("psnr_published", "PSNR of batches in dB", "higher", metrics.Mean(p.publishedPSNR), note)
		f.add("ssim_published", "SSIM of batches", "higher", metrics.Mean(p.publishedSSIM), note)
	}
	if p.distance != nil {
		info := p.distance.Info()
		f.add("distance", info.Name, "lower", metrics.Mean(p.distances), info.Input)
	}
	r.Figures = merge([]figures{f})
}
