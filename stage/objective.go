package stage

import (
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/torch"
)

// objective is what stages 2 and 3 minimise (sony/pagoda cm/karras_diffusion.py,
// pgd_losses): for the generator L_rec + lambda·L_adv, and if there are critics
// of reconstructions their loss too.
//
// Within a step a feature network sees an image once: the distance, the critics
// of either kind and the discriminators' half draw their augmentations apart, as in
// the reference, and so see other images. Critics of reconstructions always have some.
type objective struct {
	*frozenFeatures
	distance features.Metric // d of L_rec
	loss     gan.Loss

	critics []critic    // of samples from the prior; none: no adversarial loss
	lambda  float64     // weight of their loss
	balance gan.Balance // what multiplies lambda

	reconstructionCritics []critic // of reconstructions
	reconstructionLambda  float64
}

// critic is a discriminator on the maps of a frozen feature network.
type critic struct {
	features features.Network
	gan.Discriminator
	// apart: real and fake images go through the discriminator one after the
	// other, as in the reference, since they share BatchNorm's statistics.
	apart bool
}

// augmentation transforms images for one of several feature networks.
type augmentation func(s *torch.Scope, network int, x *torch.Tensor) *torch.Tensor

// batch is what a generator made in one go and how it is augmented for the critics.
type batch struct {
	images        *torch.Tensor // (r+n,C,H,W): reconstructions, then samples
	targets       *torch.Tensor // (r,C,H,W), what should have been reconstructed; nil when r is 0
	labels        []int64       // of all images
	distance      augmentation  // for the distance; nil: none, as for the others
	reconstructed augmentation  // for the critics of reconstructions
	sampled       augmentation  // for the critics of samples
}

// verdict is the generator's side of a step.
type verdict struct {
	gradient *torch.Tensor // of the whole loss with respect to the images
	atLast   *torch.Tensor // of L_rec with respect to the generator's last layer; nil unless balanced
	measured []measurement
	weights  []*torch.Tensor // by which losses were balanced
}

// judge weighs a batch. last carries a gradient with respect to the images on to
// the generator's last layer. before is the atLast of an earlier batch, for
// balancing samples that come without reconstructions.
func (o *objective) judge(g *torch.Scope, b batch, last func(dx *torch.Tensor) *torch.Tensor, before *torch.Tensor) verdict {
	r := 0
	if b.targets != nil {
		r = b.targets.Dim(0)
	}
	n := b.images.Dim(0) - r
	v := verdict{atLast: before}
	var dr, da *torch.Tensor
	whole := func(dr, da *torch.Tensor) *torch.Tensor { // gradient with respect to all images
		switch {
		case r == 0:
			return da
		case n == 0:
			return dr
		case dr == nil:
			dr = g.Zeros(append([]int{r}, da.Shape()[1:]...)...)
		case da == nil:
			da = g.Zeros(append([]int{n}, dr.Shape()[1:]...)...)
		}
		return g.Cat(0, dr, da)
	}
	balanced := o.balance != gan.Fixed && (len(o.critics)+len(o.reconstructionCritics) > 0)
	if r > 0 {
		x := leaf(g, b.images, 0, r)
		loss := g.Mean(o.distance(g, x, b.targets, b.distance.in(g)))
		dr = g.Grad(loss, []*torch.Tensor{x})[0]
		v.measure("reconstruction", loss)
		if balanced {
			v.atLast = last(whole(dr, nil))
		}
	}
	weigh := func(lambda float64, loss *torch.Tensor, dx *torch.Tensor, at func() *torch.Tensor, suffix string) *torch.Tensor {
		weight := g.Full(lambda, 1)
		if balanced && v.atLast != nil {
			ratio := o.balance.Weight(g, v.atLast, at())
			v.weights = append(v.weights, ratio)
			weight = g.Scale(ratio, lambda)
		}
		v.measure("adversarial"+suffix, loss)
		v.measure("lambda"+suffix, weight)
		return g.Mul(dx, weight)
	}
	if r > 0 && len(o.reconstructionCritics) > 0 {
		x := leaf(g, b.images, 0, r)
		loss := o.loss.Generator(g, logits(g, o.reconstructionCritics, x, b.labels[:r], b.reconstructed))
		dx := g.Grad(loss, []*torch.Tensor{x})[0]
		at := func() *torch.Tensor { return last(whole(dx, nil)) }
		dr = g.Add(dr, weigh(o.reconstructionLambda, loss, dx, at, "_reconstruction"))
	}
	if n > 0 {
		x := leaf(g, b.images, r, n)
		loss := o.loss.Generator(g, logits(g, o.critics, x, b.labels[r:], b.sampled))
		dx := g.Grad(loss, []*torch.Tensor{x})[0]
		at := func() *torch.Tensor { return last(whole(nil, dx)) }
		da = weigh(o.lambda, loss, dx, at, "")
	}
	v.gradient = whole(dr, da)
	return v
}

// measure notes a scalar.
func (v *verdict) measure(name string, value *torch.Tensor) {
	v.measured = append(v.measured, measurement{name, value})
}

// discriminate is what critics minimise, given as many fake as real images: the
// loss and the mean scores of both. The feature networks build no graph.
func (o *objective) discriminate(g *torch.Scope, critics []critic, fake, real *torch.Tensor, fakeLabels, realLabels []int64, augment augmentation) (loss, scoreFake, scoreReal *torch.Tensor) {
	off := g.NoGrad()
	defer off.Close()
	n := fake.Dim(0)
	fakes, reals := make([]*torch.Tensor, len(critics)), make([]*torch.Tensor, len(critics))
	for i, c := range critics {
		maps := c.features.Maps(off, off.Cat(0, augment.of(off, i, fake), augment.of(off, i, real)))
		if c.apart {
			fakes[i] = c.Logits(g, ofImages(off, maps, 0, n), fakeLabels, true)
			reals[i] = c.Logits(g, ofImages(off, maps, n, n), realLabels, true)
			continue
		}
		all := c.Logits(g, maps, append(append([]int64{}, fakeLabels...), realLabels...), true)
		fakes[i], reals[i] = g.Narrow(all, 0, 0, n), g.Narrow(all, 0, n, n)
	}
	return o.loss.Discriminator(g, fakes, reals), mean(g, fakes), mean(g, reals)
}

// logits are the scores of images by several critics, as they train.
func logits(g *torch.Scope, critics []critic, x *torch.Tensor, labels []int64, augment augmentation) []*torch.Tensor {
	out := make([]*torch.Tensor, len(critics))
	for i, c := range critics {
		out[i] = c.Logits(g, c.features.Maps(g, augment.of(g, i, x)), labels, true)
	}
	return out
}

// of is x augmented for a network, or x itself.
func (a augmentation) of(s *torch.Scope, network int, x *torch.Tensor) *torch.Tensor {
	if a == nil {
		return x
	}
	return a(s, network, x)
}

// in is the augmentation as features wants it, nil for none.
func (a augmentation) in(s *torch.Scope) func(network int, x *torch.Tensor) *torch.Tensor {
	if a == nil {
		return nil
	}
	return func(network int, x *torch.Tensor) *torch.Tensor { return a(s, network, x) }
}

// leaf cuts images [first,first+n) off the generator's graph, so that the losses'
// gradients with respect to them can be weighed before they go on.
func leaf(g *torch.Scope, x *torch.Tensor, first, n int) *torch.Tensor {
	off := g.NoGrad()
	defer off.Close()
	leaf := off.Keep(off.Clone(off.Narrow(off.Detach(x), 0, first, n)))
	leaf.RequireGrad(true)
	return leaf
}

// ofImages are the maps of images [first,first+n).
func ofImages(s *torch.Scope, maps []*torch.Tensor, first, n int) []*torch.Tensor {
	out := make([]*torch.Tensor, len(maps))
	for i, m := range maps {
		out[i] = s.Narrow(m, 0, first, n)
	}
	return out
}

// mean is the mean score of logits (N,L) of several critics.
func mean(g *torch.Scope, logits []*torch.Tensor) *torch.Tensor {
	all := make([]*torch.Tensor, len(logits))
	for i, l := range logits {
		all[i] = g.Reshape(g.Mean(l), 1)
	}
	return g.Mean(g.Cat(0, all...))
}
