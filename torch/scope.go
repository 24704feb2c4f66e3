package torch

// #include "bridge.h"
import "C"

import "unsafe"

// Scope owns the tensors made through it and sets the mode they are made in:
// device, whether gradients are recorded, and the compute dtype of convolutions
// and matrix products. Scopes nest; Close frees a scope's tensors at once.
type Scope struct {
	parent  *Scope
	device  Device
	grad    bool
	compute DType
	flops   *float64 // counter of the work done, or nil
	scale   float64  // what Grad multiplies by
	dropout *draws   // nil: Dropout drops nothing
	tensors []*Tensor
}

// NewScope returns a root scope on the device. Gradients are not recorded and
// products are computed in float32. It panics with *Error when [Load] fails.
func NewScope(device Device) *Scope {
	if err := Load(); err != nil {
		panic(&Error{Op: "load", Message: err.Error()})
	}
	return &Scope{device: device, compute: Float32, scale: 1}
}

// Child returns a scope nested in s, in the same mode. It must be closed before s.
func (s *Scope) Child() *Scope {
	return &Scope{parent: s, device: s.device, grad: s.grad, compute: s.compute, flops: s.flops, scale: s.scale, dropout: s.dropout}
}

// WithGrad returns a child that records gradients.
func (s *Scope) WithGrad() *Scope {
	c := s.Child()
	c.grad = true
	return c
}

// NoGrad returns a child that records none.
func (s *Scope) NoGrad() *Scope {
	c := s.Child()
	c.grad = false
	return c
}

// WithCompute returns a child whose convolutions and matrix products cast their
// operands to dtype (Float32, BFloat16 or, on CUDA, Float16; float64 operands
// stay as they are) and answer in it. Weights stay in the dtype they are stored
// in. It panics with *Error for Float16 on the processor.
func (s *Scope) WithCompute(dtype DType) *Scope {
	if dtype == Float16 && s.device == CPU {
		panic(&Error{Op: "compute", Message: "float16 takes a CUDA device; the processor computes in bfloat16 or float32"})
	}
	c := s.Child()
	c.compute = dtype
	return c
}

// WithLossScale returns a child whose [Scope.Grad] answers gradients of scale times the loss.
func (s *Scope) WithLossScale(scale float64) *Scope {
	c := s.Child()
	c.scale = scale
	return c
}

// Device is where the scope makes its tensors.
func (s *Scope) Device() Device { return s.device }

// Compute is the dtype of the scope's convolutions and matrix products.
func (s *Scope) Compute() DType { return s.compute }

// Close frees every tensor of the scope. Closing twice is harmless.
func (s *Scope) Close() {
	if len(s.tensors) == 0 {
		return
	}
	handles := make([]C.pg_tensor, len(s.tensors))
	for i, t := range s.tensors {
		handles[i] = t.handle
		t.handle = nil
	}
	check(C.pg_release(C.int64_t(len(handles)), &handles[0]), "release")
	s.tensors = nil
}

// Keep moves tensors out of s to its parent, where they outlive s, and returns the first.
func (s *Scope) Keep(tensors ...*Tensor) *Tensor {
	for _, t := range tensors {
		s.MoveTo(s.parent, t)
	}
	return tensors[0]
}

// MoveTo moves a tensor of s to another scope.
func (s *Scope) MoveTo(other *Scope, t *Tensor) {
	last := len(s.tensors) - 1
	if t.slot > last || s.tensors[t.slot] != t {
		panic(&Error{Op: "move", Message: "the tensor does not belong to this scope"})
	}
	s.tensors[t.slot] = s.tensors[last]
	s.tensors[t.slot].slot = t.slot
	s.tensors = s.tensors[:last]
	other.own(t)
}

// Local runs f in a child scope and keeps only its result: what f made on the
// way is freed at once, except what recorded gradients need.
func (s *Scope) Local(f func(c *Scope) *Tensor) *Tensor {
	c := s.Child()
	defer c.Close()
	return c.Keep(f(c))
}

// Free frees tensors of s before it closes.
func (s *Scope) Free(tensors ...*Tensor) {
	c := &Scope{}
	defer c.Close()
	for _, t := range tensors {
		s.MoveTo(c, t)
	}
}

// release takes t from s and gives its handle to the caller.
func (s *Scope) release(t *Tensor) C.pg_tensor {
	c := &Scope{}
	s.MoveTo(c, t)
	return t.handle
}

// own makes s the owner of t.
func (s *Scope) own(t *Tensor) *Tensor {
	t.slot = len(s.tensors)
	s.tensors = append(s.tensors, t)
	return t
}

func (s *Scope) mode() C.int {
	mode := C.int(s.compute) << 1
	if s.grad {
		mode |= 1
	}
	return mode
}

// LiveTensors is the number of native tensors that exist in the process.
func LiveTensors() int {
	if Load() != nil {
		return 0
	}
	var n C.int64_t
	check(C.pg_live(&n), "live")
	return int(n)
}

// ints passes a Go slice of sizes to C.
func ints(x []int) (*C.int64_t, C.int) {
	return (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(x))), C.int(len(x))
}

// handles passes tensors to C.
func handles(x []*Tensor) (*C.pg_tensor, C.int) {
	out := make([]C.pg_tensor, len(x))
	for i, t := range x {
		out[i] = t.c()
	}
	return unsafe.SliceData(out), C.int(len(out))
}

func (t *Tensor) c() C.pg_tensor {
	if t == nil {
		return nil
	}
	if t.handle == nil {
		panic(&Error{Op: "use", Message: "a tensor is used after its scope was closed"})
	}
	return t.handle
}
