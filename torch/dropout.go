package torch

// #include "bridge.h"
import "C"

// draws is a stream of seeds for Dropout.
type draws struct{ seed, next uint64 }

// WithDropout returns a child in which Dropout drops, what follows from the seed
// and from the calls before: the mode in which networks train.
func (s *Scope) WithDropout(seed uint64) *Scope {
	c := s.Child()
	c.dropout = &draws{seed: seed}
	return c
}

// Dropout sets a share of x's elements, in [0,1), to zero and scales the others
// up by 1/(1-share) in scopes with dropout; elsewhere it is x itself.
func (s *Scope) Dropout(x *Tensor, share float64) *Tensor {
	if s.dropout == nil || share == 0 {
		return x
	}
	s.dropout.next++
	seed := (s.dropout.seed ^ s.dropout.next*0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9
	t := &Tensor{}
	check(C.pg_dropout(s.mode(), &t.handle, x.c(), C.double(share), C.int64_t(seed)), "dropout", x)
	return s.own(t)
}
