package torch

// #include "bridge.h"
import "C"

import "fmt"

func flag(on bool) C.int {
	if on {
		return 1
	}
	return 0
}

// Linear is x·wᵀ+b with x (…,In), w (Out,In) and b (Out) or nil, in the scope's compute dtype.
func (s *Scope) Linear(x, w, b *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_linear(s.mode(), &t.handle, x.c(), w.c(), b.c()), "linear", x, w, b)
	s.count(t, w.perOutput, x, w)
	return s.own(t)
}

// ConvOptions are the optional arguments of a convolution.
type ConvOptions struct {
	Stride  int // 1 when zero
	Padding int
	Rect    [2]int // further padding of height and width, for kernels that are not square
	Groups  int    // 1 when zero
}

func (o ConvOptions) stride() C.int64_t          { return C.int64_t(max(o.Stride, 1)) }
func (o ConvOptions) groups() C.int64_t          { return C.int64_t(max(o.Groups, 1)) }
func (o ConvOptions) padding(side int) C.int64_t { return C.int64_t(o.Padding + o.Rect[side]) }

// Conv2d correlates x (N,In,H,W) with w (Out,In/Groups,KH,KW) and adds b (Out) or
// nil, in the scope's compute dtype.
func (s *Scope) Conv2d(x, w, b *Tensor, o ConvOptions) *Tensor {
	t := &Tensor{}
	check(C.pg_conv2d(s.mode(), &t.handle, x.c(), w.c(), b.c(), o.stride(), o.padding(0), o.padding(1), o.groups(), 0), "conv2d", x, w, b)
	s.count(t, w.perOutput, x, w)
	return s.own(t)
}

// gatheredRows says whether convolutions of float32 that Winograd's algorithm does not take are products
// of gathered rows, the default on processors without AVX-512, or libtorch's. Tests take them anywhere.
func gatheredRows(on bool) {
	check(C.pg_gathered_rows(flag(on)), "gathered rows")
}

// ConvTranspose2d is the adjoint of Conv2d: x (N,In,H,W), w (In,Out/Groups,K,K).
func (s *Scope) ConvTranspose2d(x, w, b *Tensor, o ConvOptions) *Tensor {
	t := &Tensor{}
	check(C.pg_conv2d(s.mode(), &t.handle, x.c(), w.c(), b.c(), o.stride(), o.padding(0), o.padding(1), o.groups(), 1), "conv transpose2d", x, w, b)
	s.count(x, w.perOutput, x, w)
	return s.own(t)
}

// AvgPool2d averages size×size windows; what they reach beyond the image does not count.
func (s *Scope) AvgPool2d(x *Tensor, size, stride, padding int) *Tensor {
	t := &Tensor{}
	check(C.pg_avg_pool2d(s.mode(), &t.handle, x.c(), C.int64_t(size), C.int64_t(stride), C.int64_t(padding)), "avg pool2d", x)
	return s.own(t)
}

// MaxPool2d takes the maximum of size×size windows.
func (s *Scope) MaxPool2d(x *Tensor, size, stride, padding int) *Tensor {
	t := &Tensor{}
	check(C.pg_max_pool2d(s.mode(), &t.handle, x.c(), C.int64_t(size), C.int64_t(stride), C.int64_t(padding)), "max pool2d", x)
	return s.own(t)
}

// Filter is the kernel of Resize.
type Filter int

// Filters, as torch.nn.functional.interpolate names them. Bicubic has a=-0.75,
// with antialias -0.5 as in Pillow. Area averages bins that may overlap.
const (
	Nearest Filter = iota
	Bilinear
	Bicubic
	Area
	BilinearAntialias
	BicubicAntialias
)

// Resize resamples (N,C,H,W) to h×w; at that size already, it shares x's memory.
func (s *Scope) Resize(x *Tensor, h, w int, filter Filter) *Tensor {
	return s.resize(x, h, w, filter, false)
}

// ResizeAligned is Resize with the corner pixels' centres aligned (Bilinear and Bicubic only).
func (s *Scope) ResizeAligned(x *Tensor, h, w int, filter Filter) *Tensor {
	return s.resize(x, h, w, filter, true)
}

func (s *Scope) resize(x *Tensor, h, w int, filter Filter, align bool) *Tensor {
	t := &Tensor{}
	check(C.pg_resize(s.mode(), &t.handle, x.c(), C.int64_t(h), C.int64_t(w), C.int(filter), flag(align)), "resize", x)
	return s.own(t)
}

// GroupNormOptions are the optional operands of GroupNorm.
type GroupNormOptions struct {
	Scale, Shift *Tensor // (N,C) each or nil: FiLM, y·(1+scale)+shift after the affine part
	SiLU         bool    // apply SiLU at the end
}

// GroupNorm normalises each of the groups of channels of x (N,C,H,W) to mean 0
// and variance 1, applies w and b (C), the modulation and the activation: one
// operator, since on channels-last memory they cost little more than one of them.
func (s *Scope) GroupNorm(x, w, b *Tensor, groups int, eps float64, o GroupNormOptions) *Tensor {
	t := &Tensor{}
	check(C.pg_group_norm(s.mode(), &t.handle, x.c(), w.c(), b.c(), o.Scale.c(), o.Shift.c(),
		C.int64_t(groups), C.double(eps), flag(o.SiLU)), "group norm", x, w, b, o.Scale, o.Shift)
	return s.own(t)
}

// LayerNorm normalises x (…,C) over its last dimension and applies w and b (C).
func (s *Scope) LayerNorm(x, w, b *Tensor, eps float64) *Tensor {
	t := &Tensor{}
	check(C.pg_layer_norm(s.mode(), &t.handle, x.c(), w.c(), b.c(), C.double(eps)), "layer norm", x, w, b)
	return s.own(t)
}

// BatchNorm normalises every channel of x: by the batch's statistics when train
// is set, moving mean and variance (C) towards them by momentum but for values that
// are not finite, otherwise by those.
func (s *Scope) BatchNorm(x, w, b, mean, variance *Tensor, train bool, momentum, eps float64) *Tensor {
	t := &Tensor{}
	check(C.pg_batch_norm(s.mode(), &t.handle, x.c(), w.c(), b.c(), mean.c(), variance.c(), flag(train),
		C.double(momentum), C.double(eps)), "batch norm", x, w, b, mean, variance)
	return s.own(t)
}

// SpectralNorm divides a weight w (Out,…), seen as a matrix of Out rows, by uᵀwv, which is its largest singular
// value once u (Out) and v (all the others) have converged; iterate makes a step of power iteration first and
// changes them in place (Miyato et al. 2018; torch.nn.utils.spectral_norm).
func (s *Scope) SpectralNorm(w, u, v *Tensor, iterate bool) *Tensor {
	t := &Tensor{}
	check(C.pg_spectral_norm(s.mode(), &t.handle, w.c(), u.c(), v.c(), flag(iterate)), "spectral norm", w, u, v)
	return s.own(t)
}

// UnitDistance compares maps a and b (N,C,H,W), whose pixels' vectors are brought to length 1 by x/(|x|+1e-10):
// squared differences, weighted by channel (C) unless weights are nil, summed over channels and averaged over
// pixels, (N), float32 (Zhang et al. 2018, equation 1). Vectors of zeros stay zeros and have gradient zero.
func (s *Scope) UnitDistance(a, b, weights *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_unit_distance(s.mode(), &t.handle, a.c(), b.c(), weights.c()), "unit distance", a, b, weights)
	return s.own(t)
}

// HeadLayout is the order of the channels of a projection to queries, keys and values.
type HeadLayout int

// The layouts in use, fastest index last: heads, then q/k/v, then channels (ADM's
// legacy order); q/k/v, then heads, then channels (flash attention, vision
// transformers); heads, then channels, then q/k/v (EDM).
const (
	HeadsFirst HeadLayout = iota
	PartsFirst
	PartsLast
)

// SelfAttention is softmax(q·kᵀ/√D)·v within each head, for qkv (N,T,3·heads·D)
// laid out as said: (N,T,heads·D). The weights are never whole in memory.
func (s *Scope) SelfAttention(qkv *Tensor, heads int, layout HeadLayout) *Tensor {
	t := &Tensor{}
	shape := qkv.Shape()
	if len(shape) != 3 || heads <= 0 {
		panic(&Error{Op: "self attention", Message: fmt.Sprintf("of %v in %d heads", shape, heads)})
	}
	width := shape[len(shape)-1] / 3
	d := width / heads
	head, part, channel := 3*d, d, 1
	switch layout {
	case PartsFirst:
		head, part = d, width
	case PartsLast:
		part, channel = 1, 3
	}
	check(C.pg_self_attention(s.mode(), &t.handle, qkv.c(), C.int64_t(heads), C.int64_t(head), C.int64_t(part), C.int64_t(channel)),
		"self attention", qkv)
	s.count(t, func() float64 { return 4 * float64(shape[1]) }, qkv)
	return s.own(t)
}
