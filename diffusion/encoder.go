package diffusion

import "github.com/pagoda-go/pagoda/torch"

// Encode is the one-step encoder of the released code: the network's output
// F(c_in(0)·x, 0, class) for images x (N,C,H,W) estimates z/SigmaMax.
func Encode(s *torch.Scope, net Network, x *torch.Tensor, labels []int64) *torch.Tensor {
	return net.Forward(s, s.Scale(x, CIn(0)), Repeat(0, x.Dim(0)), labels)
}

// EncoderLoss is the mean squared plus the mean absolute error, a scalar, of
// an estimate by Encode against the latents z (sony/pagoda get_enc_loss).
func EncoderLoss(s *torch.Scope, estimate, z *torch.Tensor) *torch.Tensor {
	e := s.Sub(estimate, s.Scale(z, 1/SigmaMax))
	return s.Add(s.Mean(s.Square(e)), s.Mean(s.Abs(e)))
}
