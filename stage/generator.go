package stage

import (
	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// generator trains the one-step generator against reconstruction of the pairs
// and a discriminator on frozen features, at any resolution.
type generator struct {
	env      *Env
	name     string
	settings config.Distill
	from     int          // first output block that trains
	work     *torch.Scope // in the run's precision; owns the feature network, to be closed

	architecture    network.Config
	net             diffusion.Network
	params, average *nn.Params
	leaves          []*torch.Tensor
	last            *torch.Tensor // kernel at which the losses' gradients are compared
	optimizer       *optim.Optimizer
	ema             *optim.EMA

	features features.Network
	augment  gan.DiffAugment

	discriminator          gan.Discriminator
	discriminatorParams    *nn.Params
	discriminatorLeaves    []*torch.Tensor
	discriminatorOptimizer *optim.Optimizer

	pairs                *pairs.Store
	pairOrder, realOrder *data.Order
}

func newGenerator(e *Env, root *torch.Scope, name string, c network.Config, settings config.Distill, from int) (*generator, error) {
	t := &generator{env: e, name: name, settings: settings, architecture: c, from: from}
	var err error
	if t.pairs, err = pairs.Open(e.Path(PairsDir)); err != nil {
		return nil, err
	}
	t.params, t.average = nn.NewParams(root, e.seed(name, "weights")), nn.NewBlankParams(root)
	if t.net, err = network.New(t.params.Root(), c); err != nil {
		return nil, err
	}
	if _, err = network.New(t.average.Root(), c); err != nil {
		return nil, err
	}
	t.average.Freeze()
	t.params.Train(func(name string) bool { return from == 0 || unet.Trains(name, from) })
	t.leaves = t.params.Trainable()
	t.last = t.params.Tensor(c.Head())
	o := optim.Options{Kind: optim.Kind(settings.Optimizer), Beta1: settings.Beta1, Beta2: settings.Beta2}
	t.optimizer = optim.New(root, t.leaves, o)
	t.ema = optim.NewEMA(t.average.Tensors(), t.params.Tensors(), settings.EMA, emaWarmUp)

	t.work = e.working(root)
	own := nn.NewBlankParams(root)
	network := newFeatures(e, own.Root())
	if err := loadClassifier(e.Path(FeaturesFile), own); err != nil {
		return nil, err
	}
	folded := network.Fold(t.work)
	t.features = folded
	a := settings.Augment
	t.augment = gan.DiffAugment{Color: a.Color, Translation: a.Translation, Cutout: a.Cutout, Fill: a.Fill}

	t.discriminatorParams = nn.NewParams(root, e.seed(name, "discriminator"))
	var sizes []int
	for i := range folded.Channels() {
		sizes = append(sizes, folded.Resolution>>i)
	}
	d := gan.NewProjectionD(t.discriminatorParams.Root(), folded.Channels(), sizes, settings.Heads, c.Classes())
	d.Gain = settings.Gain
	t.discriminator = d
	t.discriminatorLeaves = t.discriminatorParams.Trainable()
	t.discriminatorOptimizer = optim.New(root, t.discriminatorLeaves, o)

	t.pairOrder = data.NewOrder(t.pairs.Len(), false, e.seed(name, "pairs"))
	t.realOrder = data.NewOrder(e.Data.Len(), e.Config.Data.Mirror, e.seed(name, "real"))
	return t, nil
}

func (t *generator) batch() int { return t.settings.Batch }

func (t *generator) step(s *torch.Scope, seen int64) []measurement {
	return append(t.generatorStep(s, seen), t.discriminatorStep(s, seen)...)
}

// generatorStep minimises L_rec + lambda·L_adv. The reconstructions and the
// samples that the discriminator judges run through the network as one batch.
func (t *generator) generatorStep(s *torch.Scope, seen int64) []measurement {
	g := s.WithGrad()
	defer g.Close()
	n, r := t.settings.Batch, t.settings.Reconstruct
	z, labels, real := t.pairBatch(g, seen)
	fresh, freshLabels := t.prior(g, "generator", seen)
	x := t.generate(g, g.Cat(0, z, fresh), append(labels, freshLabels...))

	reconstructed, sampled := t.leaf(g, x, 0, r), t.leaf(g, x, r, n)
	reconstruction := g.Mean(features.Distance(g, t.features.Maps(g, reconstructed), t.frozenMaps(g, real)))
	adversarial := gan.Hinge.Generator(g, []*torch.Tensor{t.judge(g, sampled, freshLabels, "generator", seen)})
	dr := g.Grad(reconstruction, []*torch.Tensor{reconstructed})[0]
	da := g.Grad(adversarial, []*torch.Tensor{sampled})[0]

	lambda := g.Full(t.settings.Lambda, 1)
	if t.settings.Adaptive {
		at := func(dr, da *torch.Tensor) *torch.Tensor {
			return g.VJPRetain(x, g.Cat(0, dr, da), []*torch.Tensor{t.last})[0]
		}
		ratio := gan.AdaptiveWeight(g, at(dr, g.Scale(da, 0)), at(g.Scale(dr, 0), da))
		lambda = g.Mul(lambda, ratio)
	}
	grads := g.VJP(x, g.Cat(0, dr, g.Mul(da, lambda)), t.leaves)
	t.optimizer.Step(grads, learningRate(t.settings.LR, t.settings.Decay, seen, t.settings.Images))
	t.ema.Update(seen / int64(n))
	return []measurement{
		{"reconstruction", g.Keep(g.Detach(reconstruction))},
		{"adversarial", g.Keep(g.Detach(adversarial))},
		{"lambda", g.Keep(g.Detach(lambda))},
	}
}

// discriminatorStep tells an independent real batch from fresh samples.
func (t *generator) discriminatorStep(s *torch.Scope, seen int64) []measurement {
	g := s.WithGrad()
	defer g.Close()
	off := g.NoGrad()
	defer off.Close()
	n := t.settings.Batch
	z, labels := t.prior(off, "discriminator", seen)
	fake := diffusion.Generate(off, t.net, z, t.architecture.Labels(labels))
	pixels, realLabels := t.env.Data.Gather(t.realOrder.Batch(seen, n))
	real := images(off, t.env.Data, pixels, t.architecture.OutputSize())
	both, bothLabels := off.Cat(0, fake, real), append(labels, int64s(realLabels)...)
	draws := t.augment.Draw(diffusion.Random(t.env.seed(t.name, "augment real"), seen), 2*n, both.Dim(2), both.Dim(3))
	maps := t.features.Maps(off, t.augment.Apply(off, both, draws))

	logits := t.discriminator.Logits(g, maps, bothLabels, true)
	of := func(first int) *torch.Tensor { return g.Narrow(logits, 0, first, n) }
	loss := gan.Hinge.Discriminator(g, []*torch.Tensor{of(0)}, []*torch.Tensor{of(n)})
	t.discriminatorOptimizer.Step(g.Grad(loss, t.discriminatorLeaves),
		learningRate(t.settings.DiscriminatorLR, t.settings.Decay, seen, t.settings.Images))
	return []measurement{
		{"discriminator", g.Keep(g.Detach(loss))},
		{"score_fake", g.Keep(g.Detach(g.Mean(of(0))))},
		{"score_real", g.Keep(g.Detach(g.Mean(of(n))))},
	}
}

// generate is the one-step generator; its frozen part builds no graph.
func (t *generator) generate(g *torch.Scope, z *torch.Tensor, labels []int64) *torch.Tensor {
	labels = t.architecture.Labels(labels)
	if t.from == 0 {
		return diffusion.Generate(g, t.net, z, labels)
	}
	grown := t.net.(*unet.UNet)
	off := g.NoGrad()
	h := grown.Trunk(off, off.Scale(z, diffusion.CIn(diffusion.SigmaMax)), diffusion.Repeat(diffusion.SigmaMax, z.Dim(0)), labels, t.from).Keep(off)
	off.Close()
	return grown.Tail(g, h)
}

// leaf cuts images [first,first+n) off the generator's graph, so that the losses'
// gradients with respect to them can be weighed before they go on.
func (t *generator) leaf(g *torch.Scope, x *torch.Tensor, first, n int) *torch.Tensor {
	off := g.NoGrad()
	defer off.Close()
	leaf := off.Keep(off.Clone(off.Narrow(off.Detach(x), 0, first, n)))
	leaf.RequireGrad(true)
	return leaf
}

func (t *generator) frozenMaps(g *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	off := g.NoGrad()
	defer off.Close()
	maps := t.features.Maps(off, x)
	off.Keep(maps...)
	return maps
}

// judge is the discriminator on augmented images.
func (t *generator) judge(g *torch.Scope, x *torch.Tensor, labels []int64, purpose string, seen int64) *torch.Tensor {
	draws := t.augment.Draw(diffusion.Random(t.env.seed(t.name, "augment "+purpose), seen), x.Dim(0), x.Dim(2), x.Dim(3))
	return t.discriminator.Logits(g, t.features.Maps(g, t.augment.Apply(g, x, draws)), labels, true)
}

// prior draws fresh latents z ~ N(0, SigmaMax²) and classes.
func (t *generator) prior(s *torch.Scope, purpose string, seen int64) (*torch.Tensor, []int64) {
	c := t.architecture
	z := diffusion.Latents(s, t.env.seed(t.name, "prior "+purpose), seen, t.settings.Batch, c.Channels(), c.InputSize(), c.InputSize())
	labels := make([]int64, t.settings.Batch)
	r := diffusion.Random(t.env.seed(t.name, "classes "+purpose), seen)
	for i := range labels {
		labels[i] = r.Int64N(int64(c.Classes()))
	}
	return z, labels
}

// pairBatch is the next batch of pairs: latents, classes, and the images at output resolution.
func (t *generator) pairBatch(s *torch.Scope, seen int64) (z *torch.Tensor, labels []int64, x *torch.Tensor) {
	n := t.settings.Reconstruct
	m := t.pairs.Meta()
	size := m.C * m.H * m.W
	chosen, _ := t.pairOrder.Batch(seen/int64(t.settings.Batch)*int64(n), n)
	indices, mirrored := make([]int, n), make([]bool, n)
	latents := make([]float32, 0, n*size)
	for i, k := range chosen {
		indices[i], mirrored[i] = m.Image(k)
		latents = append(latents, t.pairs.Latents()[k*size:(k+1)*size]...)
	}
	pixels, classes := t.env.Data.Gather(indices, mirrored)
	return s.FromFloat32(latents, n, m.C, m.H, m.W), int64s(classes), images(s, t.env.Data, pixels, t.architecture.OutputSize())
}

func (t *generator) save(state map[string]checkpoint.Tensor) {
	t.params.Save(state, "model.")
	t.average.Save(state, "ema.")
	t.optimizer.Save(state, "optimizer.")
	t.discriminatorParams.Save(state, "discriminator.")
	t.discriminatorOptimizer.Save(state, "discriminator_optimizer.")
}

func (t *generator) load(f *checkpoint.File) error {
	for _, part := range []struct {
		load   func(checkpoint.Source, string) error
		prefix string
	}{
		{t.params.Load, "model."}, {t.average.Load, "ema."}, {t.optimizer.Load, "optimizer."},
		{t.discriminatorParams.Load, "discriminator."}, {t.discriminatorOptimizer.Load, "discriminator_optimizer."},
	} {
		if err := part.load(f, part.prefix); err != nil {
			return err
		}
	}
	return nil
}
