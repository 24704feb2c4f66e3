package features

import "github.com/pagoda-go/pagoda/torch"

// Distance compares two lists of feature maps of the same shapes (N,C,H,W):
// every pixel's vector is brought to length 1, and the squared differences are
// averaged over space and summed over channels and maps. The result is (N),
// float32 (sony/pagoda cm/karras_diffusion.py, get_recon_loss with cnn_vit).
func Distance(s *torch.Scope, estimate, target []*torch.Tensor) *torch.Tensor {
	var sum *torch.Tensor
	for i := range estimate {
		d := s.UnitDistance(estimate[i], target[i], nil)
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
