package torch

// #include "bridge.h"
import "C"

import "fmt"

// Reshape gives x another shape; one size may be -1. It shares memory where it can.
func (s *Scope) Reshape(x *Tensor, shape ...int) *Tensor {
	t := &Tensor{}
	d, n := ints(shape)
	check(C.pg_reshape(s.mode(), &t.handle, x.c(), d, n), "reshape", x)
	return s.own(t)
}

// Expand repeats dimensions of size 1 without copying; -1 leaves a size as it is.
func (s *Scope) Expand(x *Tensor, shape ...int) *Tensor {
	t := &Tensor{}
	d, n := ints(shape)
	check(C.pg_expand(s.mode(), &t.handle, x.c(), d, n), "expand", x)
	return s.own(t)
}

// Permute reorders the dimensions.
func (s *Scope) Permute(x *Tensor, dims ...int) *Tensor {
	t := &Tensor{}
	d, n := ints(dims)
	check(C.pg_permute(s.mode(), &t.handle, x.c(), d, n), "permute", x)
	return s.own(t)
}

// Narrow is the slice [start, start+length) of dimension dim; it shares memory.
func (s *Scope) Narrow(x *Tensor, dim, start, length int) *Tensor {
	t := &Tensor{}
	check(C.pg_narrow(s.mode(), &t.handle, x.c(), C.int64_t(dim), C.int64_t(start), C.int64_t(length)), "narrow", x)
	return s.own(t)
}

// Chunk cuts dimension dim into n equal slices.
func (s *Scope) Chunk(x *Tensor, n, dim int) []*Tensor {
	size := x.Dim(dim) / n
	if size*n != x.Dim(dim) {
		panic(&Error{Op: "chunk", Message: fmt.Sprintf("%d parts of dimension %d of %v", n, dim, x.Shape())})
	}
	out := make([]*Tensor, n)
	for i := range out {
		out[i] = s.Narrow(x, dim, i*size, size)
	}
	return out
}

// Cat joins tensors along dim.
func (s *Scope) Cat(dim int, x ...*Tensor) *Tensor {
	t := &Tensor{}
	in, n := handles(x)
	check(C.pg_cat(s.mode(), &t.handle, in, n, C.int64_t(dim)), "cat", x...)
	return s.own(t)
}

// Pad surrounds the last two dimensions with value.
func (s *Scope) Pad(x *Tensor, left, right, top, bottom int, value float64) *Tensor {
	t := &Tensor{}
	d, n := ints([]int{left, right, top, bottom})
	check(C.pg_pad(s.mode(), &t.handle, x.c(), d, n, C.double(value)), "pad", x)
	return s.own(t)
}

// IndexSelect takes the slices of dimension dim that index (int64) names.
func (s *Scope) IndexSelect(x *Tensor, dim int, index *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_index_select(s.mode(), &t.handle, x.c(), C.int64_t(dim), index.c()), "index select", x, index)
	return s.own(t)
}

// Gather takes one element along dim for each element of index (int64, as many dimensions as x).
func (s *Scope) Gather(x *Tensor, dim int, index *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_gather(s.mode(), &t.handle, x.c(), C.int64_t(dim), index.c()), "gather", x, index)
	return s.own(t)
}

// ChannelsLast lays (N,C,H,W) out with channels fastest, the layout of the fast kernels.
func (s *Scope) ChannelsLast(x *Tensor) *Tensor {
	return s.unary(C.PG_CHANNELS_LAST, "channels last", x)
}
