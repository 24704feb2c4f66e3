package diffusion

import (
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// Random is the random stream of number i under a seed: every image of a run
// has its own, so results depend neither on the batch size nor on where a run
// was interrupted.
func Random(seed uint64, i int64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(i)))
}

// Normal draws (N,shape...) of unit variance, image j from Random(seed, first+j).
func Normal(s *torch.Scope, seed uint64, first int64, n int, shape ...int) *torch.Tensor {
	size := 1
	for _, d := range shape {
		size *= d
	}
	out := make([]float32, n*size)
	for j := range n {
		r := Random(seed, first+int64(j))
		for k := range size {
			out[j*size+k] = float32(r.NormFloat64())
		}
	}
	return s.FromFloat32(out, append([]int{n}, shape...)...)
}

// Latents draws n latents z ~ N(0, SigmaMax²) of the given shape (C,h,w).
func Latents(s *torch.Scope, seed uint64, first int64, n int, shape ...int) *torch.Tensor {
	return s.Scale(Normal(s, seed, first, n, shape...), SigmaMax)
}
