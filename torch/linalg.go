package torch

// #include "bridge.h"
import "C"

// Eigh is the eigendecomposition of the symmetric matrix x (N,N): values (N)
// ascending, and vectors as columns (N,N). Nothing is recorded.
func (s *Scope) Eigh(x *Tensor) (values, vectors *Tensor) {
	values, vectors = &Tensor{}, &Tensor{}
	check(C.pg_eigh(&values.handle, &vectors.handle, x.c()), "eigh", x)
	return s.own(values), s.own(vectors)
}

// SVD is the reduced singular value decomposition x = u·diag(s)·vh of (M,N). Nothing is recorded.
func (s *Scope) SVD(x *Tensor) (u, values, vh *Tensor) {
	u, values, vh = &Tensor{}, &Tensor{}, &Tensor{}
	check(C.pg_svd(&u.handle, &values.handle, &vh.handle, x.c()), "svd", x)
	return s.own(u), s.own(values), s.own(vh)
}
