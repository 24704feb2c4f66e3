package metrics

import (
	"fmt"
	"math"
)

// Window is the neighbourhood over which SSIM compares two images.
type Window int

// The two windows in use, as skimage.metrics.structural_similarity has them.
const (
	Uniform7   Window = iota // 7x7, equal weights, sample covariance: skimage's default
	Gaussian11               // 11x11, sigma 1.5, population covariance: Wang et al.'s
)

// weights of the window along one dimension; they add up to 1.
func (w Window) weights() []float64 {
	const sigma = 1.5
	out := make([]float64, 7)
	if w == Gaussian11 {
		out = make([]float64, 11)
	}
	sum := 0.
	for i := range out {
		out[i] = 1
		if w == Gaussian11 {
			x := float64(i-len(out)/2) / sigma
			out[i] = math.Exp(-x * x / 2)
		}
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// SSIM is the structural similarity (Wang et al. 2004, K1 0.01, K2 0.03, range
// 255) of every image: the mean over channels and over all windows that lie
// inside; 1 for equal images. The figure to report is its [Mean]. Sizes must be
// equal and not below the window's.
func SSIM(a, b Images, window Window) ([]float64, error) {
	if err := checkImages(a, b); err != nil {
		return nil, err
	}
	weights := window.weights()
	if min(a.H, a.W) < len(weights) {
		return nil, fmt.Errorf("metrics: SSIM of %dx%d images needs %dx%d at least", a.H, a.W, len(weights), len(weights))
	}
	correction := 1.
	if window == Uniform7 {
		correction = 49. / 48
	}
	out := make([]float64, a.N)
	for i := range out {
		out[i] = ssim(a.Image(i), b.Image(i), []float64{1}, weights, correction)
	}
	return out, nil
}

// SSIMAsPublished is the one number that PaGoDA's cm/train_util.py gets for a
// batch. It hands the batch to skimage as if it were a volume, so its windows are
// 7x7x7 and mix neighbouring images. At least 7 images of 7x7.
func SSIMAsPublished(a, b Images) (float64, error) {
	if err := checkImages(a, b); err != nil {
		return 0, err
	}
	if min(a.N, a.H, a.W) < 7 {
		return 0, fmt.Errorf("metrics: published SSIM of %d images of %dx%d needs 7 of 7x7 at least", a.N, a.H, a.W)
	}
	weights := Uniform7.weights()
	return ssim(a, b, weights, weights, 343./342), nil
}

// ssim is the mean similarity over channels and windows; a window extends over
// neighbouring images by the weights across, over rows and columns by within.
func ssim(a, b Images, across, within []float64, correction float64) float64 {
	size := len(a.Pixels)
	x, y := make([]float64, size), make([]float64, size)
	xx, yy, xy := make([]float64, size), make([]float64, size), make([]float64, size)
	for i := range size {
		x[i], y[i] = float64(a.Pixels[i]), float64(b.Pixels[i])
		xx[i], yy[i], xy[i] = x[i]*x[i], y[i]*y[i], x[i]*y[i]
	}
	local := func(v []float64) []float64 { // means over windows
		v = slide(v, a.W, a.C, within)
		w := a.W - len(within) + 1
		v = slide(v, a.H, w*a.C, within)
		h := a.H - len(within) + 1
		return slide(v, a.N, h*w*a.C, across)
	}
	x, y, xx, yy, xy = local(x), local(y), local(xx), local(yy), local(xy)
	const c1, c2 = (0.01 * 255) * (0.01 * 255), (0.03 * 255) * (0.03 * 255)
	sum := 0.
	for i, mx := range x {
		my := y[i]
		vx, vy, cov := correction*(xx[i]-mx*mx), correction*(yy[i]-my*my), correction*(xy[i]-mx*my)
		sum += (2*mx*my + c1) * (2*cov + c2) / ((mx*mx + my*my + c1) * (vx + vy + c2))
	}
	return sum / float64(len(x))
}

// slide takes the weighted means of v (…,n,stride) over windows along the
// dimension of size n, only where they fit.
func slide(v []float64, n, stride int, weights []float64) []float64 {
	fits := n - len(weights) + 1
	out := make([]float64, len(v)/n*fits)
	for o := range len(v) / (n * stride) {
		for k, w := range weights {
			from := v[(o*n+k)*stride:][:fits*stride]
			to := out[o*fits*stride:][:fits*stride]
			for i, value := range from {
				to[i] += w * value
			}
		}
	}
	return out
}
