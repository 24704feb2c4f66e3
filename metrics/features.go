package metrics

import (
	"fmt"
	"iter"
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// Features are N vectors of D numbers each, the answers of a feature network
// to N images (its logits, for the metrics that take logits).
type Features struct {
	N, D   int
	Values []float32 // row-major, N*D of them
}

// Row is vector i; it shares memory with f.
func (f Features) Row(i int) []float32 { return f.Values[i*f.D : (i+1)*f.D] }

// check tells what makes f unusable: its shape, fewer than least vectors, or a NaN or infinite value.
func (f Features) check(name string, least int) error {
	if f.D < 1 || f.N < 0 || len(f.Values) != f.N*f.D {
		return fmt.Errorf("metrics: %s have %d values for %d vectors of %d", name, len(f.Values), f.N, f.D)
	}
	if f.N < least {
		return fmt.Errorf("metrics: %s have %d vectors, at least %d are needed", name, f.N, least)
	}
	for i, v := range f.Values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("metrics: %s contain %v in row %d, dimension %d", name, v, i/f.D, i%f.D)
		}
	}
	return nil
}

// checkPair checks two sets that are to be compared.
func checkPair(real, generated Features, least int) error {
	if err := real.check("the real features", least); err != nil {
		return err
	}
	if err := generated.check("the generated features", least); err != nil {
		return err
	}
	if real.D != generated.D {
		return fmt.Errorf("metrics: real features have %d dimensions, generated ones %d: not from the same network", real.D, generated.D)
	}
	return nil
}

// tensor is rows [start, start+n) as a float32 tensor (n,D).
func (f Features) tensor(s *torch.Scope, start, n int) *torch.Tensor {
	return s.FromFloat32(f.Values[start*f.D:(start+n)*f.D], n, f.D)
}

// tensor64 is tensor in float64.
func (f Features) tensor64(s *torch.Scope, start, n int) *torch.Tensor {
	return s.To(f.tensor(s, start, n), torch.Float64)
}

// blockRows bounds the memory of what works in float64 on a whole set.
const blockRows = 1024

// blocks cuts n rows into runs (start, length) of at most size rows.
func blocks(n, size int) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for start := 0; start < n; start += size {
			if !yield(start, min(size, n-start)) {
				return
			}
		}
	}
}
