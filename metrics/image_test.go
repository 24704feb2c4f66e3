package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func noise(seed uint64, n, h, w, c int) Images {
	r := rand.New(rand.NewPCG(seed, 0))
	m := Images{n, h, w, c, make([]uint8, n*h*w*c)}
	for i := range m.Pixels {
		m.Pixels[i] = uint8(r.IntN(200))
	}
	return m
}

func TestPSNR(t *testing.T) {
	a := noise(1, 2, 9, 12, 3)
	b := Images{2, 9, 12, 3, slices.Clone(a.Pixels)}
	for i := len(b.Pixels) / 2; i < len(b.Pixels); i++ {
		b.Pixels[i] += 51 // a fifth of the range, in the second image only
	}
	psnr, err := PSNR(a, b)
	fatal(t, err)
	if !math.IsInf(psnr[0], 1) {
		t.Errorf("PSNR of equal images is %v", psnr[0])
	}
	about(t, "PSNR", psnr[1], 20*math.Log10(5), 1e-12)
	published, err := PSNRAsPublished(a, b)
	fatal(t, err)
	about(t, "PSNR of the batch", published, 20*math.Log10(5)+10*math.Log10(2), 1e-12)
}

func TestSSIM(t *testing.T) {
	a, b := noise(1, 8, 13, 11, 2), noise(2, 8, 13, 11, 2)
	for _, window := range []Window{Uniform7, Gaussian11} {
		same, err := SSIM(a, a, window)
		fatal(t, err)
		about(t, "SSIM of equal images", Mean(same), 1, 1e-12)
		other, err := SSIM(a, b, window)
		fatal(t, err)
		about(t, "SSIM of independent noise", Mean(other), 0, 0.3)
	}
	published, err := SSIMAsPublished(a, a)
	fatal(t, err)
	about(t, "published SSIM of equal images", published, 1, 1e-12)
}

// Images of constant brightness leave of SSIM the term of the means.
func TestSSIMOfFlatImages(t *testing.T) {
	a, b := Images{1, 11, 11, 1, make([]uint8, 121)}, Images{1, 11, 11, 1, make([]uint8, 121)}
	for i := range a.Pixels {
		a.Pixels[i], b.Pixels[i] = 100, 150
	}
	const c1 = 2.55 * 2.55
	for _, window := range []Window{Uniform7, Gaussian11} {
		got, err := SSIM(a, b, window)
		fatal(t, err)
		about(t, "SSIM", got[0], (2*100*150+c1)/(100*100+150*150+c1), 1e-9)
	}
}

func TestBadImages(t *testing.T) {
	a := noise(1, 3, 8, 9, 3)
	_, err := PSNR(a, noise(1, 3, 9, 8, 3))
	wantError(t, err, "3 images of 8x9x3 against 3 of 9x8x3")
	_, err = PSNR(a, Images{3, 8, 9, 3, nil})
	wantError(t, err, "0 bytes for 3 images of 8x9 with 3 channels")
	_, err = SSIM(a, a, Gaussian11)
	wantError(t, err, "8x9 images needs 11x11")
	_, err = SSIMAsPublished(a, a)
	wantError(t, err, "3 images of 8x9 needs 7")
}
