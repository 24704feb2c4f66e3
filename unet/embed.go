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
// sines, of frequencies from 1 down to 1/10000 (guided-diffusion nn.py).
func TimestepEmbedding(arguments []float32, dim int) []float32 {
	half := dim / 2
	out := make([]float32, len(arguments)*dim)
	for j := range half {
		frequency := float32(math.Exp(float64(float32(-math.Log(10000)) * float32(j) / float32(half))))
		for i, t := range arguments {
			sin, cos := math.Sincos(float64(t * frequency))
			out[i*dim+j], out[i*dim+half+j] = float32(cos), float32(sin)
		}
	}
	return out
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
	x := f.FromFloat32(TimestepEmbedding(arguments, e.dim), len(sigma), e.dim)
	x = e.out.Forward(f, f.SiLU(e.in.Forward(f, x)))
	if e.label != nil {
		x = f.Add(x, e.label.Forward(f, f.FromInt64(labels, len(labels))))
	}
	return f.Keep(f.SiLU(x))
}
