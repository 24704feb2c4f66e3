package metrics

import (
	"fmt"
	"math"
)

// Images are N pictures of 8-bit channels, as the arr_0 of an .npz file.
type Images struct {
	N, H, W, C int
	Pixels     []uint8 // row-major (N,H,W,C)
}

// Image is picture i; it shares memory with m.
func (m Images) Image(i int) Images {
	size := m.H * m.W * m.C
	return Images{1, m.H, m.W, m.C, m.Pixels[i*size : (i+1)*size]}
}

func checkImages(a, b Images) error {
	for _, m := range []Images{a, b} {
		if m.N < 1 || m.H < 1 || m.W < 1 || m.C < 1 || len(m.Pixels) != m.N*m.H*m.W*m.C {
			return fmt.Errorf("metrics: %d bytes for %d images of %dx%d with %d channels", len(m.Pixels), m.N, m.H, m.W, m.C)
		}
	}
	if a.N != b.N || a.H != b.H || a.W != b.W || a.C != b.C {
		return fmt.Errorf("metrics: %d images of %dx%dx%d against %d of %dx%dx%d", a.N, a.H, a.W, a.C, b.N, b.H, b.W, b.C)
	}
	return nil
}

// PSNR is the peak signal-to-noise ratio of every image, 10·log10(255²/mean
// squared error) over its pixels and channels, in dB; +Inf for equal images.
// The figure to report is its [Mean]. Sizes must be equal.
func PSNR(a, b Images) ([]float64, error) {
	if err := checkImages(a, b); err != nil {
		return nil, err
	}
	out := make([]float64, a.N)
	for i := range out {
		out[i] = 10 * math.Log10(255*255/squaredError(a.Image(i), b.Image(i)))
	}
	return out, nil
}

// PSNRAsPublished is the one number that PaGoDA's cm/train_util.py gets from
// cv2.PSNR on a whole batch: from the error averaged over all images before the
// logarithm. It depends on the batch and lies below the mean of [PSNR]; 361 dB
// for equal batches.
func PSNRAsPublished(a, b Images) (float64, error) {
	if err := checkImages(a, b); err != nil {
		return 0, err
	}
	return 20 * math.Log10(255/(math.Sqrt(squaredError(a, b))+0x1p-52)), nil
}

// squaredError is the mean squared difference.
func squaredError(a, b Images) float64 {
	sum := 0
	for i, v := range a.Pixels {
		d := int(v) - int(b.Pixels[i])
		sum += d * d
	}
	return float64(sum) / float64(len(a.Pixels))
}

// Mean is the average of a metric that has one value per image; NaN of none.
func Mean(values []float64) float64 {
	sum := 0.
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
