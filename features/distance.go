package features

import "github.com/pagoda-go/pagoda/torch"

// Distance compares two lists of feature maps of the same shapes (N,C,H,W):
// every pixel's vector is brought to length 1, and the squared differences are
// averaged over space and summed over channels and maps. The result is (N),
// float32 (sony/pagoda cm/karras_diffusion.py, get_recon_loss with cnn_vit).
func Distance(s *torch.Scope, estimate, target []*torch.Tensor) *torch.Tensor {
	var sum *torch.Tensor
	for i := range estimate {
		shape := estimate[i].Shape()
		d := s.Sum(s.Square(s.Sub(unit(s, estimate[i]), unit(s, target[i]))), 1, 2, 3)
		d = s.Scale(d, 1/float64(shape[2]*shape[3]))
		if sum != nil {
			d = s.Add(sum, d)
		}
		sum = d
	}
	return sum
}

// Metric compares two batches of images (N,C,H,W) in [-1,1], image by image:
// (N), float32. Augment, unless nil, is applied to both batches and draws anew
// for every feature network, not for every batch.
type Metric func(s *torch.Scope, estimate, target *torch.Tensor, augment func(network int, x *torch.Tensor) *torch.Tensor) *torch.Tensor

// NewMetric is the sum of [Distance] over feature networks. Images are augmented
// as they come. Estimates and targets go through a network one after the other:
// nothing need be kept of the targets' way for a gradient.
func NewMetric(networks ...Network) Metric {
	return func(s *torch.Scope, estimate, target *torch.Tensor, augment func(int, *torch.Tensor) *torch.Tensor) *torch.Tensor {
		var sum *torch.Tensor
		for i, n := range networks {
			a, b := estimate, target
			if augment != nil {
				a, b = augment(i, a), augment(i, b)
			}
			d := Distance(s, n.Maps(s, a), n.Maps(s, b))
			if sum != nil {
				d = s.Add(sum, d)
			}
			sum = d
		}
		return sum
	}
}

// NewProjectedMetric is NewMetric for [Projected] networks: images are augmented
// at the size at which the networks see them. With DeiT and EfficientNet it is the
// reference's cnn_vit (sony/pagoda cm/karras_diffusion.py, get_recon_loss).
func NewProjectedMetric(networks ...Network) Metric {
	distance := NewMetric(networks...)
	return func(s *torch.Scope, estimate, target *torch.Tensor, augment func(int, *torch.Tensor) *torch.Tensor) *torch.Tensor {
		return distance(s, Seen(s, estimate), Seen(s, target), augment)
	}
}

// unit is x/(|x|+1e-10) with the norm over channels. Vectors of zeros stay
// zeros; there the norm counts as 1, since its gradient does not exist.
func unit(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	x = s.To(x, torch.Float32)
	square := s.SumKeep(s.Square(x), 1)
	square = s.Add(square, s.To(s.Equal(square, s.Zeros()), torch.Float32))
	return s.Div(x, s.Affine(s.Sqrt(square), 1, 1e-10))
}
