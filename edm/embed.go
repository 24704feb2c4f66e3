package edm

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// mapping turns noise level, class and augmentation into the vector that
// conditions every block.
type mapping struct {
	config         Config
	frequencies    *torch.Tensor // (noise channels/2), of a Fourier embedding; else nil
	label, augment *nn.Linear    // nil: none
	layer0, layer1 *nn.Linear
}

func newMapping(p nn.Path, c Config) *mapping {
	noise, embed := c.noiseChannels(), c.embedChannels()
	m := &mapping{config: c}
	if c.Architecture == SongUNet && c.Fourier {
		m.frequencies = p.At("map_noise").NormalBuffer("freqs", 16, noise/2)
	}
	if c.LabelDim > 0 {
		if c.Architecture == SongUNet {
			m.label = nn.NewLinear(p.At("map_label"), c.LabelDim, noise)
		} else {
			m.label = unbiased(p.At("map_label"), c.LabelDim, embed, 1)
		}
	}
	if c.AugmentDim > 0 {
		m.augment = unbiased(p.At("map_augment"), c.AugmentDim, noise, 1/math.Sqrt(float64(c.AugmentDim)))
	}
	m.layer0 = nn.NewLinear(p.At("map_layer0"), noise, embed)
	m.layer1 = nn.NewLinear(p.At("map_layer1"), embed, embed)
	return m
}

// unbiased is a linear layer without a bias, its weights normal with a standard deviation.
func unbiased(p nn.Path, in, out int, std float64) *nn.Linear {
	p.Spend(nn.Work{FLOPs: 2 * float64(in*out)})
	return &nn.Linear{Weight: p.Normal("weight", std, out, in)}
}

// forward returns SiLU of the embedding (N,embedChannels), float32: every block starts with it.
func (m *mapping) forward(s *torch.Scope, noise []float32, class, augment *torch.Tensor) *torch.Tensor {
	f := s.WithCompute(torch.Float32)
	defer f.Close()
	cos, sin := m.waves(f, noise)
	song := m.config.Architecture == SongUNet
	x := f.Cat(1, cos, sin)
	if song {
		x = f.Cat(1, sin, cos)
	}
	switch {
	case class != nil && m.label == nil:
		panic(&torch.Error{Op: "edm", Message: "class labels for an unconditional network"})
	case class == nil && m.label != nil:
		class = f.Zeros(1, m.config.LabelDim)
	}
	if song && m.label != nil { // one-hot labels at unit variance
		x = f.Add(x, m.label.Forward(f, f.Scale(class, math.Sqrt(float64(m.config.LabelDim)))))
	}
	if augment != nil {
		if m.augment == nil {
			panic(&torch.Error{Op: "edm", Message: "augmentation labels for a network without"})
		}
		x = f.Add(x, m.augment.Forward(f, augment))
	}
	x = m.layer1.Forward(f, f.SiLU(m.layer0.Forward(f, x)))
	if !song && m.label != nil {
		x = f.Add(x, m.label.Forward(f, class))
	}
	return f.Keep(f.SiLU(x))
}

// waves are cosines and sines (N,noise channels/2) of the noise levels times the embedding's frequencies.
func (m *mapping) waves(s *torch.Scope, noise []float32) (cos, sin *torch.Tensor) {
	frequencies := s.FromFloat32(m.config.positions(), m.config.noiseChannels()/2)
	if m.frequencies != nil {
		frequencies = s.Scale(m.frequencies, 2*math.Pi)
	}
	angle := s.Mul(s.FromFloat32(noise, len(noise), 1), frequencies)
	return s.Cos(angle), s.Sin(angle)
}

// positions are the fixed frequencies, falling from 1 to 1/10000; the lowest is left out in ADM.
func (c Config) positions() []float32 {
	out := make([]float32, c.noiseChannels()/2)
	last := len(out)
	if c.Architecture == SongUNet {
		last--
	}
	for i := range out {
		out[i] = float32(math.Pow(10000, -float64(i)/float64(last)))
	}
	return out
}

// NoiseArgument is the number by which EDM's networks see a noise level: ln(sigma)/4
// (EDM table 1, c_noise).
func NoiseArgument(sigma float32) float32 { return float32(math.Log(float64(sigma))) / 4 }

// arguments are the numbers by which a network sees noise levels.
func arguments(argument func(sigma float32) float32, sigma []float32) []float32 {
	out := make([]float32, len(sigma))
	for i, v := range sigma {
		out[i] = argument(v)
	}
	return out
}

// oneHot are class labels as vectors (N,dim).
func oneHot(s *torch.Scope, labels []int64, dim int) *torch.Tensor {
	out := make([]float32, len(labels)*dim)
	for i, label := range labels {
		if label < 0 || int(label) >= dim {
			panic(&torch.Error{Op: "edm", Message: fmt.Sprintf("class %d of %d", label, dim)})
		}
		out[i*dim+int(label)] = 1
	}
	return s.FromFloat32(out, len(labels), dim)
}
