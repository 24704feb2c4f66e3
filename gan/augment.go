package gan

import (
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// DiffAugment is the differentiable augmentation of Zhao et al. (2020), with the
// ranges of sony/pagoda cm/enc_dec_lib.py. The zero value changes nothing.
type DiffAugment struct {
	Color       bool // brightness ±0.5, saturation 0 to 2, contrast 0.5 to 1.5
	Translation bool // shifts by up to 1/8 of the size
	Cutout      bool // blanks a box of 1/5 of the size

	// Fill is what shifting and cutting leave behind. The reference has 0, mid-grey
	// of [-1,1]; pictures on a black background want -1, which hides no cut-out edge.
	Fill float64
}

// Draws are the random numbers of one batch, an entry an image; empty lists
// leave out their transformation. The same draws may serve several batches.
type Draws struct {
	Brightness, Saturation, Contrast []float32
	Translation                      [][2]int // output row r, column c shows input row r+[0], column c+[1]
	Cutout                           [][2]int // row and column of the box's centre
}

// Draw draws for n images of h×w.
func (a DiffAugment) Draw(r *rand.Rand, n, h, w int) Draws {
	var d Draws
	for range n {
		if a.Color {
			d.Brightness = append(d.Brightness, r.Float32()-0.5)
			d.Saturation = append(d.Saturation, 2*r.Float32())
			d.Contrast = append(d.Contrast, 0.5+r.Float32())
		}
		if a.Translation {
			d.Translation = append(d.Translation, [2]int{shift(r, h), shift(r, w)})
		}
		if a.Cutout {
			d.Cutout = append(d.Cutout, [2]int{centre(r, h), centre(r, w)})
		}
	}
	return d
}

// shift is uniform over -size/8 to size/8.
func shift(r *rand.Rand, size int) int {
	most := int(float64(size)/8 + 0.5)
	return r.IntN(2*most+1) - most
}

// cutoutSize is the side of the box along a side of the image.
func cutoutSize(size int) int { return int(float64(size)*0.2 + 0.5) }

// centre is uniform over the places a box may have, partly outside the image.
func centre(r *rand.Rand, size int) int { return r.IntN(size + 1 - cutoutSize(size)%2) }

// Apply transforms images (N,C,H,W) by the draws of N images; gradients pass through.
func (a DiffAugment) Apply(s *torch.Scope, x *torch.Tensor, d Draws) *torch.Tensor {
	perImage := func(values []float32) *torch.Tensor { return s.FromFloat32(values, len(values), 1, 1, 1) }
	spread := func(x, mean, factor *torch.Tensor) *torch.Tensor {
		return s.Add(s.Mul(s.Sub(x, mean), factor), mean)
	}
	if len(d.Brightness) > 0 {
		x = s.Add(x, perImage(d.Brightness))
	}
	if len(d.Saturation) > 0 {
		x = spread(x, s.MeanKeep(x, 1), perImage(d.Saturation))
	}
	if len(d.Contrast) > 0 {
		x = spread(x, s.MeanKeep(x, 1, 2, 3), perImage(d.Contrast))
	}
	shape := x.Shape()
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	if len(d.Translation) > 0 {
		x = s.Local(func(s *torch.Scope) *torch.Tensor {
			// A row and a column of Fill, at index 0, are what comes from outside. The indices are views of n·(h+w) numbers.
			rows := s.Expand(s.FromInt64(d.sources(0, h), n, 1, h, 1), n, c, h, w+1)
			columns := s.Expand(s.FromInt64(d.sources(1, w), n, 1, 1, w), n, c, h, w)
			return s.Gather(s.Gather(s.Pad(x, 1, 0, 1, 0, a.Fill), 2, rows), 3, columns)
		})
	}
	if len(d.Cutout) > 0 {
		x = s.Local(func(s *torch.Scope) *torch.Tensor {
			box := s.Mul(s.FromFloat32(d.boxes(0, h), n, 1, h, 1), s.FromFloat32(d.boxes(1, w), n, 1, 1, w))
			return s.Add(s.Mul(x, s.Affine(box, -1, 1)), s.Scale(box, a.Fill))
		})
	}
	return x
}

// sources are, for every image and every place along a side (0: rows, 1: columns)
// of the given size, the place that it shows, counted from 1; 0 is outside.
func (d Draws) sources(side, size int) []int64 {
	out := make([]int64, len(d.Translation)*size)
	for i, shift := range d.Translation {
		for k := max(0, -shift[side]); k < min(size, size-shift[side]); k++ {
			out[i*size+k] = int64(k + shift[side] + 1)
		}
	}
	return out
}

// boxes are, for every image and every place along a side, 1 in the reach of the
// cut-out box and 0 beside it.
func (d Draws) boxes(side, size int) []float32 {
	out := make([]float32, len(d.Cutout)*size)
	for i, centre := range d.Cutout {
		from, to := box(centre[side], size)
		for k := from; k < to; k++ {
			out[i*size+k] = 1
		}
	}
	return out
}

// box is the part of a cut-out that lies inside a side of the image.
func box(centre, size int) (from, to int) {
	from = centre - cutoutSize(size)/2
	return max(0, from), min(size, from+cutoutSize(size))
}
