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
			var arguments []float64
			var args []float32
			for _, v := range f.Floats("in.sigma") {
				args = append(args, unet.NoiseArgument(v))
			}
			for _, v := range unet.TimestepEmbedding(args, u.Config.ModelChannels) {
				arguments = append(arguments, float64(v))
			}
			f.CompareFloats("mid.timestep_embedding", arguments, 2e-4, 0)
		}
		grads := s.VJP(y, f.Tensor("in.cotangent"), append(params.Trainable(), x))
		last := len(grads) - 1
		f.Compare("grad.in.x", grads[last], 1e-3, 0)
		f.CompareGradients("", ".param.", params.Names(), grads[:last], 1e-3)
	}, "unet_")
}
