package torch

// #include "bridge.h"
import "C"

import "fmt"

// AdamStep are the numbers of one step of Adam's family.
type AdamStep struct {
	LR, Beta1, Beta2, Eps float64
	Decay                 float64 // decoupled weight decay (AdamW)
	L2                    float64 // weight decay added to the gradient (Adam, RAdam)
	Correction1           float64 // 1-Beta1^t
	Correction2           float64 // sqrt(1-Beta2^t)
	Rectification         float64 // RAdam's r_t, 1 for Adam; negative: momentum alone
}

// AdamUpdate changes parameters p, first moments m and second moments v in
// place by gradients g, all tensors in one call.
func AdamUpdate(p, g, m, v []*Tensor, step AdamStep) {
	hyper := [...]C.double{C.double(step.LR), C.double(step.Beta1), C.double(step.Beta2), C.double(step.Eps),
		C.double(step.Decay), C.double(step.L2), C.double(step.Correction1), C.double(step.Correction2), C.double(step.Rectification)}
	sameLength("adam", p, g, m, v)
	hp, n := handles(p)
	hg, _ := handles(g)
	hm, _ := handles(m)
	hv, _ := handles(v)
	check(C.pg_adam(n, hp, hg, hm, hv, &hyper[0]), "adam")
}

// Lerp moves every target towards its source in place: t += weight·(s-t).
func Lerp(target, source []*Tensor, weight float64) {
	sameLength("lerp", target, source)
	ht, n := handles(target)
	hs, _ := handles(source)
	check(C.pg_lerp(n, ht, hs, C.double(weight)), "lerp")
}

func sameLength(op string, first []*Tensor, others ...[]*Tensor) {
	for _, o := range others {
		if len(o) != len(first) {
			panic(&Error{Op: op, Message: fmt.Sprintf("lists of %d and %d tensors", len(first), len(o))})
		}
	}
}

// Multiply multiplies every tensor in place.
func Multiply(x []*Tensor, factor float64) {
	h, n := handles(x)
	check(C.pg_multiply(n, h, C.double(factor)), "multiply")
}

// Norm is the Euclidean norm of all elements of all tensors together.
func Norm(x []*Tensor) float64 {
	var out C.double
	h, n := handles(x)
	check(C.pg_norm(&out, n, h), "norm")
	return float64(out)
}
