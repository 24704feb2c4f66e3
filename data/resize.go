package data

import "math"

// raster is an image of interleaved channels, (H,W,C).
type raster struct {
	h, w, c int
	pix     []uint8
}

// filter is a resampling kernel: its weights reach support source pixels from
// the centre, more when the image shrinks.
type filter struct {
	support float64
	weight  func(x float64) float64
}

// box averages the pixels that an output pixel covers.
var box = filter{0.5, func(x float64) float64 {
	if -0.5 < x && x <= 0.5 {
		return 1
	}
	return 0
}}

// bicubic is Keys' cubic convolution with a = -0.5.
var bicubic = filter{2, func(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}}

// Weights are integers of this many fractional bits, as in Pillow, so that the
// results are Pillow's to the last bit.
const fractionBits = 22

// taps are the weights with which consecutive source pixels make an output pixel.
type taps struct {
	first   int
	weights []int
}

// taps returns the weights for each of size pixels made from source pixels.
func (f filter) taps(source, size int) []taps {
	scale := float64(source) / float64(size)
	stretch := max(scale, 1)
	support := f.support * stretch
	all := make([]taps, size)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		end := min(int(centre+support+0.5), source)
		weights := make([]float64, end-first)
		sum := 0.0
		for k := range weights {
			weights[k] = f.weight((float64(k+first) - centre + 0.5) / stretch)
			sum += weights[k]
		}
		all[i] = taps{first, make([]int, len(weights))}
		for k, w := range weights {
			all[i].weights[k] = int(math.Round(w / sum * (1 << fractionBits)))
		}
	}
	return all
}

// half rounds a sum of weighted samples when the fraction is cut.
const half = 1 << (fractionBits - 1)

func whole(sum int) uint8 { return uint8(min(max(sum>>fractionBits, 0), 255)) }

// resize resamples rows, then columns, with antialiasing, rounding to uint8
// in between: Pillow's Image.resize.
func (r raster) resize(h, w int, f filter) raster {
	if w != r.w {
		wide := raster{r.h, w, r.c, make([]uint8, r.h*w*r.c)}
		all := f.taps(r.w, w)
		for y := range r.h {
			from, to := r.row(y), wide.row(y)
			for x, t := range all {
				for c := range r.c {
					sum := half
					for k, weight := range t.weights {
						sum += weight * int(from[(t.first+k)*r.c+c])
					}
					to[x*r.c+c] = whole(sum)
				}
			}
		}
		r = wide
	}
	if h != r.h {
		high := raster{h, r.w, r.c, make([]uint8, h*r.w*r.c)}
		sums := make([]int, r.w*r.c)
		for y, t := range f.taps(r.h, h) {
			for i := range sums {
				sums[i] = half
			}
			for k, weight := range t.weights {
				for i, v := range r.row(t.first + k) {
					sums[i] += weight * int(v)
				}
			}
			to := high.row(y)
			for i, sum := range sums {
				to[i] = whole(sum)
			}
		}
		r = high
	}
	return r
}

// row returns the samples of row y.
func (r raster) row(y int) []uint8 { return r.pix[y*r.w*r.c:][:r.w*r.c] }
