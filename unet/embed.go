package unet

import (
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// NoiseArgument is the number by which ADM sees a noise level: 250·ln(sigma+1e-44)
// in float32 (sony/pagoda cm/unet.py). At sigma 0 the sum is the subnormal
// 9.81e-45, so the argument is -25333.256.
func NoiseArgument(sigma float32) float32 {
	return 250 * float32(math.Log(float64(sigma+float32(1e-44))))
}

// TimestepEmbedding is the sinusoidal embedding (N,dim) of arguments (N): cosines, then
// sines, of frequencies from 1 down to 1/10000 (guided-diffusion nn.py), and a zero when dim
// is odd. Arguments are in
// the thousands, so the last place of a frequency is seen: it is the engine's exponential,
// that the reference uses, and not a better one.
func TimestepEmbedding(s *torch.Scope, arguments []float32, dim int) *torch.Tensor {
	half := dim / 2
	exponents := make([]float32, half)
	for j := range exponents {
		exponents[j] = float32(-math.Log(10000)) * float32(j) / float32(half)
	}
	frequencies := s.Exp(s.FromFloat32(exponents, half))
	angle := s.Mul(s.FromFloat32(arguments, len(arguments), 1), frequencies)
	return s.Cat(1, s.Cos(angle), s.Sin(angle), s.Zeros(len(arguments), dim%2))
}

// embedding turns noise levels and classes into the vector that conditions every block.
type embedding struct {
	in, out *nn.Linear
	label   *nn.Embedding // nil: unconditional
	dim     int
}

func newEmbedding(p nn.Path, c Config) *embedding {
	e := &embedding{
		in:  nn.NewLinear(p.At("time_embed", 0), c.ModelChannels, c.EmbedChannels()),
		out: nn.NewLinear(p.At("time_embed", 2), c.EmbedChannels(), c.EmbedChannels()),
		dim: c.ModelChannels,
	}
	if c.Classes > 0 {
		e.label = nn.NewEmbedding(p.At("label_emb"), c.Classes, c.EmbedChannels())
	}
	return e
}

// forward returns SiLU of the embedding (N,EmbedChannels), float32: every block starts with it.
func (e *embedding) forward(s *torch.Scope, argument func(float32) float32, sigma []float32, labels []int64) *torch.Tensor {
	f := s.WithCompute(torch.Float32)
	defer f.Close()
	arguments := make([]float32, len(sigma))
	for i, v := range sigma {
		arguments[i] = argument(v)
	}
	x := TimestepEmbedding(f, arguments, e.dim)
	x = e.out.Forward(f, f.SiLU(e.in.Forward(f, x)))
	if e.label != nil {
		x = f.Add(x, e.label.Forward(f, f.FromInt64(labels, len(labels))))
	}
	return f.Keep(f.SiLU(x))
}
