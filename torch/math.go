package torch

// #include "bridge.h"
import "C"

func (s *Scope) unary(op C.int, name string, x *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_unary(s.mode(), &t.handle, op, x.c()), name, x)
	return s.own(t)
}

func (s *Scope) binary(op C.int, name string, a, b *Tensor) *Tensor {
	t := &Tensor{}
	check(C.pg_binary(s.mode(), &t.handle, op, a.c(), b.c()), name, a, b)
	return s.own(t)
}

// Neg is -x.
func (s *Scope) Neg(x *Tensor) *Tensor { return s.unary(C.PG_NEG, "neg", x) }

// Exp is e to the power x.
func (s *Scope) Exp(x *Tensor) *Tensor { return s.unary(C.PG_EXP, "exp", x) }

// Log is the natural logarithm.
func (s *Scope) Log(x *Tensor) *Tensor { return s.unary(C.PG_LOG, "log", x) }

// Sqrt is the square root.
func (s *Scope) Sqrt(x *Tensor) *Tensor { return s.unary(C.PG_SQRT, "sqrt", x) }

// Rsqrt is 1/sqrt(x).
func (s *Scope) Rsqrt(x *Tensor) *Tensor { return s.unary(C.PG_RSQRT, "rsqrt", x) }

// Square is x*x.
func (s *Scope) Square(x *Tensor) *Tensor { return s.unary(C.PG_SQUARE, "square", x) }

// Abs is |x|.
func (s *Scope) Abs(x *Tensor) *Tensor { return s.unary(C.PG_ABS, "abs", x) }

// Sin is the sine.
func (s *Scope) Sin(x *Tensor) *Tensor { return s.unary(C.PG_SIN, "sin", x) }

// Cos is the cosine.
func (s *Scope) Cos(x *Tensor) *Tensor { return s.unary(C.PG_COS, "cos", x) }

// Tanh is the hyperbolic tangent.
func (s *Scope) Tanh(x *Tensor) *Tensor { return s.unary(C.PG_TANH, "tanh", x) }

// SiLU is x*sigmoid(x).
func (s *Scope) SiLU(x *Tensor) *Tensor { return s.unary(C.PG_SILU, "silu", x) }

// GELU is x·Φ(x) with the normal distribution's Φ, not its approximation by tanh.
func (s *Scope) GELU(x *Tensor) *Tensor { return s.unary(C.PG_GELU, "gelu", x) }

// ReLU is max(x,0).
func (s *Scope) ReLU(x *Tensor) *Tensor { return s.unary(C.PG_RELU, "relu", x) }

// ReLU6 is min(max(x,0),6).
func (s *Scope) ReLU6(x *Tensor) *Tensor { return s.unary(C.PG_RELU6, "relu6", x) }

// Softplus is log(1+exp(x)).
func (s *Scope) Softplus(x *Tensor) *Tensor { return s.unary(C.PG_SOFTPLUS, "softplus", x) }

// Detach is x cut off from what recorded it; it shares x's memory.
func (s *Scope) Detach(x *Tensor) *Tensor { return s.unary(C.PG_DETACH, "detach", x) }

// Clone is a copy of x.
func (s *Scope) Clone(x *Tensor) *Tensor { return s.unary(C.PG_CLONE, "clone", x) }

// LeakyReLU is x where positive and slope*x elsewhere.
func (s *Scope) LeakyReLU(x *Tensor, slope float64) *Tensor {
	t := &Tensor{}
	check(C.pg_leaky_relu(s.mode(), &t.handle, x.c(), C.double(slope)), "leaky relu", x)
	return s.own(t)
}

// Add is a+b; shapes broadcast, as in all operators of two tensors.
func (s *Scope) Add(a, b *Tensor) *Tensor { return s.binary(C.PG_ADD, "add", a, b) }

// Sub is a-b.
func (s *Scope) Sub(a, b *Tensor) *Tensor { return s.binary(C.PG_SUB, "sub", a, b) }

// Mul is a*b, element by element.
func (s *Scope) Mul(a, b *Tensor) *Tensor { return s.binary(C.PG_MUL, "mul", a, b) }

// Div is a/b.
func (s *Scope) Div(a, b *Tensor) *Tensor { return s.binary(C.PG_DIV, "div", a, b) }

// Equal is a==b as booleans.
func (s *Scope) Equal(a, b *Tensor) *Tensor { return s.binary(C.PG_EQUAL, "equal", a, b) }

// MatMul is the matrix product (…,M,K)x(…,K,N), in the scope's compute dtype.
func (s *Scope) MatMul(a, b *Tensor) *Tensor {
	t := s.binary(C.PG_MATMUL, "matmul", a, b)
	s.count(t, func() float64 {
		shape := a.Shape()
		return 2 * float64(shape[len(shape)-1])
	}, a, b)
	return t
}

// Affine is scale*x+shift for numbers scale and shift.
func (s *Scope) Affine(x *Tensor, scale, shift float64) *Tensor {
	t := &Tensor{}
	check(C.pg_affine(s.mode(), &t.handle, x.c(), C.double(scale), C.double(shift)), "affine", x)
	return s.own(t)
}

// Scale is x times a number.
func (s *Scope) Scale(x *Tensor, by float64) *Tensor { return s.Affine(x, by, 0) }

// Clamp limits x to [low,high].
func (s *Scope) Clamp(x *Tensor, low, high float64) *Tensor {
	t := &Tensor{}
	check(C.pg_clamp(s.mode(), &t.handle, x.c(), C.double(low), C.double(high)), "clamp", x)
	return s.own(t)
}

func (s *Scope) reduce(op C.int, name string, x *Tensor, keep bool, dims []int) *Tensor {
	t := &Tensor{}
	d, n := ints(dims)
	k := C.int(0)
	if keep {
		k = 1
	}
	check(C.pg_reduce(s.mode(), &t.handle, op, x.c(), d, n, k), name, x)
	return s.own(t)
}

// Sum adds up the given dimensions, all of them when none is given, and drops them.
func (s *Scope) Sum(x *Tensor, dims ...int) *Tensor { return s.reduce(C.PG_SUM, "sum", x, false, dims) }

// Mean averages the given dimensions, all of them when none is given, and drops them.
func (s *Scope) Mean(x *Tensor, dims ...int) *Tensor {
	return s.reduce(C.PG_MEAN, "mean", x, false, dims)
}

// SumKeep is Sum leaving the summed dimensions with size 1.
func (s *Scope) SumKeep(x *Tensor, dims ...int) *Tensor {
	return s.reduce(C.PG_SUM, "sum", x, true, dims)
}

// MeanKeep is Mean leaving the averaged dimensions with size 1.
func (s *Scope) MeanKeep(x *Tensor, dims ...int) *Tensor {
	return s.reduce(C.PG_MEAN, "mean", x, true, dims)
}

// Softmax normalises exp(x) along dim.
func (s *Scope) Softmax(x *Tensor, dim int) *Tensor { return s.softmax(x, dim, 0) }

// LogSoftmax is the logarithm of Softmax.
func (s *Scope) LogSoftmax(x *Tensor, dim int) *Tensor { return s.softmax(x, dim, 1) }

func (s *Scope) softmax(x *Tensor, dim int, log C.int) *Tensor {
	t := &Tensor{}
	check(C.pg_softmax(s.mode(), &t.handle, x.c(), C.int64_t(dim), log), "softmax", x)
	return s.own(t)
}

// ArgMax is the index of the largest element along dim, int64.
func (s *Scope) ArgMax(x *Tensor, dim int) *Tensor {
	t := &Tensor{}
	check(C.pg_argmax(&t.handle, x.c(), C.int64_t(dim)), "argmax", x)
	return s.own(t)
}
