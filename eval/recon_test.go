package eval

import (
	"math"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/metrics"
)

func TestReconstruct(t *testing.T) {
	const n, size = 70, 8
	for _, c := range []int{1, 3} {
		a, b := noise(1, n, c, size), noise(2, n, c, size)
		copy(b[:c*size*size], a[:c*size*size]) // the first image is perfect
		r, err := Reconstruct(t.Context(), writeArchive(t, a, n, c, size), writeZip(t, b, n, c, size), ReconstructionOptions{})
		fatal(t, err)
		info := SourceInfo{C: c, H: size, W: size}
		psnr, err := metrics.PSNR(interleaved(a, n, info), interleaved(b, n, info))
		fatal(t, err)
		ssim, err := metrics.SSIM(interleaved(a, n, info), interleaved(b, n, info), metrics.Uniform7)
		fatal(t, err)
		if got, want := r.Figures[0].Mean, metrics.Mean(psnr[1:]); math.Abs(got-want) > 1e-9 || r.Figures[0].Key != "psnr" {
			t.Errorf("PSNR %v, want %v", got, want)
		}
		if got, want := r.Figures[1].Mean, metrics.Mean(ssim); math.Abs(got-want) > 1e-9 || r.Protocol.Count != n {
			t.Errorf("SSIM %v, want %v", got, want)
		}
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "1 of 70 images equal their originals") {
			t.Errorf("warnings %q", r.Warnings)
		}
	}
	one, two := writeArchive(t, noise(1, 3, 1, 8), 3, 1, 8), writeArchive(t, noise(1, 4, 1, 8), 4, 1, 8)
	_, err := Reconstruct(t.Context(), one, two, ReconstructionOptions{})
	wantError(t, err, "every image needs its original")
	_, err = Reconstruct(t.Context(), "", two, ReconstructionOptions{})
	wantError(t, err, "no reconstructions")
	_, err = Reconstruct(t.Context(), "missing", two, ReconstructionOptions{})
	wantError(t, err, "the originals: ")
}
