package torch

// #include "bridge.h"
import "C"

// RequireGrad makes t a leaf whose gradient can be asked for, or stops that.
func (t *Tensor) RequireGrad(on bool) {
	flag := C.int(0)
	if on {
		flag = 1
	}
	check(C.pg_require_grad(t.c(), flag), "require grad", t)
}

// Grad returns the gradients of the scalar y with respect to the tensors x
// (zeros for those y does not depend on), times the scope's loss scale. The
// recorded graph is freed.
func (s *Scope) Grad(y *Tensor, x []*Tensor) []*Tensor {
	if s.scale == 1 {
		return s.vjp(y, nil, x, 0)
	}
	c := s.NoGrad()
	defer c.Close()
	return s.vjp(y, c.To(c.Full(s.scale, y.Shape()...), y.DType()), x, 0)
}

// VJP returns the gradients of sum(y*dy) with respect to the tensors x; a nil dy is 1, for scalars.
func (s *Scope) VJP(y, dy *Tensor, x []*Tensor) []*Tensor { return s.vjp(y, dy, x, 0) }

// VJPRetain is VJP keeping the graph for another call.
func (s *Scope) VJPRetain(y, dy *Tensor, x []*Tensor) []*Tensor { return s.vjp(y, dy, x, 1) }

func (s *Scope) vjp(y, dy *Tensor, x []*Tensor, retain C.int) []*Tensor {
	raw := make([]C.pg_tensor, len(x))
	in, n := handles(x)
	if n == 0 {
		return nil
	}
	check(C.pg_grad(&raw[0], y.c(), dy.c(), in, n, retain), "grad", y, dy)
	out := make([]*Tensor, len(x))
	for i, h := range raw {
		out[i] = s.own(&Tensor{handle: h})
	}
	return out
}
