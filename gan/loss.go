package gan

import "github.com/pagoda-go/pagoda/torch"

// Loss is the objective of the game.
type Loss string

// Hinge is the released code's objective; LogD is the paper's (Goodfellow et al.
// 2014, the generator in its non-saturating form).
const (
	Hinge Loss = "hinge"
	LogD  Loss = "log"
)

// Discriminator is what the discriminator minimises, a scalar, given its
// logits for fake and for real images: (N,L) for each feature network.
// Every image of every network counts the same, whatever its L
// (sony/pagoda cm/karras_diffusion.py, get_decoder_discriminator_loss).
func (l Loss) Discriminator(s *torch.Scope, fake, real []*torch.Tensor) *torch.Tensor {
	penalty := func(x *torch.Tensor) *torch.Tensor { return s.ReLU(s.Affine(x, 1, 1)) }
	if l == LogD {
		penalty = s.Softplus
	}
	return s.Add(
		average(s, real, func(x *torch.Tensor) *torch.Tensor { return penalty(s.Neg(x)) }),
		average(s, fake, penalty))
}

// Generator is what the generator minimises, a scalar, given the logits of its images.
func (l Loss) Generator(s *torch.Scope, fake []*torch.Tensor) *torch.Tensor {
	return average(s, fake, func(x *torch.Tensor) *torch.Tensor {
		if l == LogD {
			return s.Softplus(s.Neg(x))
		}
		return s.Neg(x)
	})
}

// average is the mean of f over each row, then over all rows of all logits.
func average(s *torch.Scope, logits []*torch.Tensor, f func(*torch.Tensor) *torch.Tensor) *torch.Tensor {
	rows := make([]*torch.Tensor, len(logits))
	for i, l := range logits {
		rows[i] = s.Mean(f(s.To(l, torch.Float32)), 1)
	}
	return s.Mean(s.Cat(0, rows...))
}

// Balance is the rule by which the adversarial loss is weighed against the reconstruction loss.
type Balance string

// The rules: none; by the ratio of the losses' gradients, as the released code
// does (Esser et al. 2021); by the squares of that ratio, as the paper says.
const (
	Fixed        Balance = "fixed"
	Norms        Balance = "norms"
	SquaredNorms Balance = "squared-norms"
)

// The bounds of a weight by gradients.
const (
	LeastWeight = 0.01
	MostWeight  = 10
)

// Weight is the adversarial loss's weight, a scalar tensor, given the gradients
// of both losses at the generator's last layer: |reconstruction|/(|adversarial|+1e-4),
// squared for [SquaredNorms], within [LeastWeight,MostWeight]; 1 when there is no
// reconstruction gradient (sony/pagoda cm/karras_diffusion.py, get_adaptive_weight).
func (b Balance) Weight(s *torch.Scope, reconstruction, adversarial *torch.Tensor) *torch.Tensor {
	n := s.NoGrad()
	defer n.Close()
	norm := func(g *torch.Tensor) *torch.Tensor { return n.Sqrt(n.Sum(n.Square(n.To(g, torch.Float32)))) }
	r := norm(reconstruction)
	weight := n.Div(r, n.Affine(norm(adversarial), 1, 1e-4))
	if b == SquaredNorms {
		weight = n.Square(weight)
	}
	weight = n.Clamp(weight, LeastWeight, MostWeight)
	none := n.To(n.Equal(r, n.Zeros()), torch.Float32) // then weight is LeastWeight
	return n.Keep(n.Add(weight, n.Scale(none, 1-LeastWeight)))
}
