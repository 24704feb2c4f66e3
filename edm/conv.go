package edm

import (
	"slices"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// resampling is what a layer does to the resolution.
type resampling int

const (
	same resampling = iota
	up
	down
)

// from is the size of images from which resampling leads to the given size.
func (r resampling) from(size int) int {
	switch r {
	case up:
		return size / 2
	case down:
		return 2 * size
	}
	return size
}

// box is the resampling filter of DDPM++ and ADM: repeat pixels, average tiles.
var box = []float64{1, 1}

// convOptions say how a conv2d resamples.
type convOptions struct {
	resampling resampling
	filter     []float64 // taps of the separable low-pass filter
	fused      bool      // kernel and filter share their padding; needs a kernel
}

// conv2d is a convolution that doubles or halves the resolution on the way
// (Conv2d in the reference).
type conv2d struct {
	convOptions
	conv   *nn.Conv2d    // nil: the filter alone
	kernel *torch.Tensor // of the filter, (1,1,taps,taps); nil when the resolution stays
}

// newConv2d makes a kernel×kernel convolution, or the filter alone when kernel is
// 0. The path's size is that of the images it ends in.
func newConv2d(p nn.Path, in, out, kernel int, o convOptions) *conv2d {
	c := &conv2d{convOptions: o}
	at, filtered := p, in
	if o.fused && o.resampling == down { // convolves first, with the filter's margin
		at, filtered = p.Over(2*p.Size()+len(o.filter)-2), out
	}
	if kernel > 0 {
		c.conv = nn.NewConv2d(at, in, out, kernel, torch.ConvOptions{})
	}
	if o.resampling != same && !slices.Equal(o.filter, box) {
		small := min(p.Size(), o.resampling.from(p.Size()))
		p.Spend(nn.Work{FLOPs: 2 * float64(len(o.filter)*len(o.filter)*filtered*small*small)})
	}
	if o.resampling != same {
		c.kernel = p.ValueBuffer("resample_filter", lowPass(o.filter), 1, 1, len(o.filter), len(o.filter))
	}
	return c
}

// lowPass is the outer product of the taps with themselves, scaled to sum 1.
func lowPass(taps []float64) []float32 {
	sum := 0.
	for _, v := range taps {
		sum += v
	}
	var out []float32
	for _, a := range taps {
		for _, b := range taps {
			out = append(out, float32(a*b/(sum*sum)))
		}
	}
	return out
}

// forward maps (N,In,H,W) to (N,Out,H,W), (N,Out,2H,2W) or (N,Out,H/2,W/2).
func (c *conv2d) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	var convPad, filterPad int
	if c.conv != nil {
		convPad = c.conv.Options.Padding
	}
	if c.resampling != same {
		filterPad = (len(c.filter) - 1) / 2
	}
	if c.fused && c.resampling == down {
		return c.resample(s, c.convolve(s, x, convPad+filterPad), 0)
	}
	if c.fused {
		shared := min(convPad, filterPad)
		convPad, filterPad = convPad-shared, filterPad-shared
	}
	return c.convolve(s, c.resample(s, x, filterPad), convPad)
}

func (c *conv2d) convolve(s *torch.Scope, x *torch.Tensor, padding int) *torch.Tensor {
	if c.conv == nil {
		return x
	}
	return s.Conv2d(x, c.conv.Weight, c.conv.Bias, torch.ConvOptions{Padding: padding})
}

func (c *conv2d) resample(s *torch.Scope, x *torch.Tensor, padding int) *torch.Tensor {
	shape := x.Shape()
	switch plain := slices.Equal(c.filter, box); {
	case c.resampling == same:
		return x
	case c.resampling == up && plain:
		return s.Resize(x, 2*shape[2], 2*shape[3], torch.Nearest)
	case plain:
		return s.AvgPool2d(x, 2, 2, 0)
	}
	f := s.WithCompute(torch.Float32) // transposed convolutions in bfloat16 are wrong in libtorch 1.13
	defer f.Close()
	o := torch.ConvOptions{Stride: 2, Padding: padding, Groups: shape[1]}
	kernel := f.Expand(c.kernel, shape[1], -1, -1, -1)
	var y *torch.Tensor
	if c.resampling == up {
		y = f.ConvTranspose2d(x, f.Scale(kernel, 4), nil, o) // every output meets a quarter of the taps
	} else {
		y = f.Conv2d(x, kernel, nil, o)
	}
	return f.Keep(f.To(y, x.DType()))
}
