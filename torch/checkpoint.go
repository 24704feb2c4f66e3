package torch

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Checkpoint is f(x), keeping nothing of what f makes on the way: when gradients
// are asked for, f runs a second time (Chen et al. 2016). It trades a third more
// work for the memory of the activations. params are the trainable tensors that
// f uses besides x. Dropout drops the same both times.
func (s *Scope) Checkpoint(x, params []*Tensor, f func(s *Scope, x []*Tensor) *Tensor) *Tensor {
	if !s.grad {
		return f(s, x)
	}
	off := s.NoGrad()
	defer off.Close()
	c := &recomputation{scope: *s, f: f, inputs: len(x), params: params}
	if s.dropout != nil {
		c.dropout = *s.dropout
	}
	y := f(off, x)
	t := &Tensor{}
	in, n := handles(append(append([]*Tensor{}, x...), params...))
	id := tickets.Add(1)
	checkpoints.Store(id, c)
	defer func() {
		if t.handle == nil { // no graph will forget it
			checkpoints.Delete(id)
		}
	}()
	check(C.pg_checkpoint(&t.handle, y.c(), in, n, C.int64_t(id)), "checkpoint", x...)
	return s.own(t)
}

// recomputation is what a checkpoint needs to run again.
type recomputation struct {
	scope   Scope // the mode
	dropout draws // as they were before the first run
	f       func(s *Scope, x []*Tensor) *Tensor
	inputs  int
	params  []*Tensor
}

var (
	tickets     atomic.Int64
	checkpoints sync.Map // of the recorded graphs that live, by ticket
)

// pagodaRecompute runs a checkpoint's function again, recording, and answers the
// gradients with respect to its n operands, nil for those that need none.
//
//export pagodaRecompute
func pagodaRecompute(id C.int64_t, dy C.pg_tensor, x *C.pg_tensor, n C.int, dx *C.pg_tensor) (message *C.char) {
	defer func() {
		if fault := recover(); fault != nil { // libtorch, between here and the caller, knows errors alone
			message = C.CString(fmt.Sprint(fault))
		}
	}()
	found, _ := checkpoints.Load(int64(id))
	c := found.(*recomputation)
	s := &Scope{device: c.scope.device, grad: true, compute: c.scope.compute, flops: c.scope.flops, scale: c.scope.scale}
	defer s.Close()
	if c.scope.dropout != nil {
		dropout := c.dropout
		s.dropout = &dropout
	}
	operands, gradients := unsafe.Slice(x, n), unsafe.Slice(dx, n)
	inputs := make([]*Tensor, c.inputs)
	var wanted []*Tensor
	var places []int
	for i := range operands {
		t := &Tensor{handle: operands[i]}
		needed := t.RequiresGrad()
		if i < c.inputs {
			t = s.Detach(t) // the inside's graph ends here
			t.RequireGrad(needed)
			inputs[i] = t
		} else {
			t = c.params[i-c.inputs]
		}
		if needed {
			wanted, places = append(wanted, t), append(places, i)
		}
	}
	y := c.f(s, inputs)
	if !y.RequiresGrad() {
		return nil
	}
	for i, g := range s.VJP(y, &Tensor{handle: dy}, wanted) {
		gradients[places[i]] = s.release(g)
	}
	return nil
}

//export pagodaForget
func pagodaForget(id C.int64_t) { checkpoints.Delete(int64(id)) }
