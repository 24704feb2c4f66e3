package diffusion

import "github.com/pagoda-go/pagoda/torch"

// EncoderLoss is the mean squared plus the mean absolute error, a scalar, of the
// estimate of latents z by [Preconditioning.OneStep] at time 0, high being their
// standard deviation (sony/pagoda get_enc_loss).
func EncoderLoss(s *torch.Scope, estimate, z *torch.Tensor, high float64) *torch.Tensor {
	e := s.Sub(estimate, s.Scale(z, 1/high))
	return s.Add(s.Mean(s.Square(e)), s.Mean(s.Abs(e)))
}
