package unet_test

import (
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/unet"
)

func TestGoldenUNet(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, params := f.UNet()
		s := f.Scope.WithGrad()
		defer s.Close()
		x := f.Tensor("in.x")
		x.RequireGrad(true)
		y := u.Forward(s, x, f.Floats("in.sigma"), f.Ints("in.y"))
		f.Compare("out.y", y, 2e-4, 0)
		if f.Has("mid.timestep_embedding") {
			var arguments []float32
			for _, v := range f.Floats("in.sigma") {
				arguments = append(arguments, unet.NoiseArgument(v))
			}
			f.Compare("mid.timestep_embedding", unet.TimestepEmbedding(s, arguments, u.Config.ModelChannels), 2e-4, 0)
		}
		grads := s.VJP(y, f.Tensor("in.cotangent"), append(params.Trainable(), x))
		last := len(grads) - 1
		f.Compare("grad.in.x", grads[last], 1e-3, 0)
		f.CompareGradients("", ".param.", params.Names(), grads[:last], 1e-3)
	}, "unet_")
}
