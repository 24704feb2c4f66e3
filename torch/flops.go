package torch

// CountFLOPs returns a child of s that adds to total the floating-point
// operations of the convolutions and matrix products made through it and its
// children: two for each multiply-add, and for a recorded operator as many
// again for each operand whose gradient will be computed.
func (s *Scope) CountFLOPs(total *float64) *Scope {
	c := s.Child()
	c.flops = total
	return c
}

// count adds an operator's work: perOutput operations for each element of out.
func (s *Scope) count(out *Tensor, perOutput func() float64, operands ...*Tensor) {
	if s.flops == nil {
		return
	}
	times := 1.
	for _, t := range operands {
		if s.grad && t.RequiresGrad() {
			times++
		}
	}
	*s.flops += times * perOutput() * float64(out.Len())
}

// perOutput is the work for one output of a kernel (Out,In,...): two for each weight it meets.
func (t *Tensor) perOutput() float64 { return 2 * float64(t.Len()) / float64(t.Dim(0)) }
