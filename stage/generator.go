package stage

import (
	"fmt"
	"slices"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// generator trains the one-step generator against reconstruction of the pairs
// and discriminators on frozen features, at any resolution.
type generator struct {
	env      *Env
	name     string
	settings config.Distill
	from     int          // first output block that trains
	work     *torch.Scope // in the run's precision; owns the feature networks, to be closed

	architecture    network.Config
	net, averaged   diffusion.Network
	params, average *nn.Params
	leaves          []*torch.Tensor
	last            *torch.Tensor // kernel at which the losses' gradients are compared
	optimizer       *optim.Optimizer
	ema             *optim.EMA

	*objective
	augment                gan.DiffAugment
	discriminatorParams    *nn.Params // of all critics, with their projections
	discriminatorLeaves    []*torch.Tensor
	discriminatorOptimizer *optim.Optimizer

	source               exampleSource
	pairs                *pairs.Store
	pairsUsed            int
	pairOrder, realOrder *data.Order
	guard
	examiner *examiner // nil for none
}

func newGenerator(e *Env, root *torch.Scope, name string, c network.Config, settings config.Distill, from int) (*generator, error) {
	t := &generator{env: e, name: name, settings: settings, architecture: c, from: from, work: e.working(root), guard: e.newGuard()}
	if err := t.build(root); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// build makes the networks, those that judge among them, and the orders of what they see.
func (t *generator) build(root *torch.Scope) (err error) {
	e, name, c, settings := t.env, t.name, t.architecture, t.settings
	if t.pairs, err = OpenPairs(e.Run.Dir, e.Data); err != nil {
		return err
	}
	t.params, t.average = nn.NewParams(root, e.seed(name, "weights")), nn.NewBlankParams(root)
	if t.net, err = network.New(t.params.Root(), c); err != nil {
		return err
	}
	if t.averaged, err = network.New(t.average.Root(), c); err != nil {
		return err
	}
	network.Recompute(t.net, e.Config.Network.Checkpointing)
	trains := func(name string) bool { return t.from == 0 || unet.Trains(name, t.from) }
	t.params.Train(trains)
	t.leaves = t.params.Trainable()
	t.average.Train(trains)
	t.ema = optim.NewEMA(t.average.Trainable(), t.leaves, settings.EMA, emaWarmUp) // what is frozen is its own average
	t.average.Freeze()
	t.last = network.LastConvolution(t.params)
	o := optim.Options{Kind: optim.Kind(settings.Optimizer), Beta1: settings.Beta1, Beta2: settings.Beta2, Clip: settings.Clip}
	t.optimizer = optim.New(root, t.leaves, o)

	a := settings.Augment
	t.augment = gan.DiffAugment{Color: a.Color, Translation: a.Translation, Cutout: a.Cutout, Fill: a.Fill}
	t.discriminatorParams = nn.NewParams(root, e.seed(name, "discriminator"))
	if t.objective, err = e.newObjective(root, t.work, t.discriminatorParams, settings, c.Classes()); err != nil {
		return err
	}
	t.discriminatorLeaves = t.discriminatorParams.Trainable()
	t.discriminatorOptimizer = optim.New(root, t.discriminatorLeaves, o)

	t.pairsUsed = t.pairs.Len()
	if settings.Pairs > 0 {
		t.pairsUsed = min(t.pairsUsed, settings.Pairs)
	}
	t.pairOrder = data.NewOrder(t.pairsUsed, false, e.seed(name, "pairs"))
	t.realOrder = data.NewOrder(e.Data.Len(), e.Config.Data.Mirror, e.seed(name, "real"))
	t.source = t.pairBatch
	if settings.Target == config.ToTeacher {
		t.source, err = t.teacherBatch(root)
	}
	return err
}

// close frees what root does not own.
func (t *generator) close() {
	if t.pairs != nil {
		_ = t.pairs.Close() // which was only read
	}
	if t.objective != nil {
		t.objective.close()
	}
	t.work.Close()
}

func (t *generator) batch() int { return t.settings.Batch }

func (t *generator) step(s *torch.Scope, seen int64) []measurement {
	g := s.WithGrad()
	defer g.Close()
	var e examples
	if t.settings.Reconstruct > 0 {
		e = t.source(g, seen)
	}
	values := t.generatorStep(g, seen, &e)
	t.ema.Update(seen / int64(t.settings.Batch))
	if len(t.discriminatorLeaves) > 0 {
		values = append(values, t.discriminatorStep(g, seen, e)...)
	}
	for i, m := range values {
		values[i].value = g.Keep(g.Detach(m.value))
	}
	return values
}

// generatorStep minimises L_rec + lambda·L_adv. The reconstructions and the
// samples that the discriminators judge run through the network as one batch,
// unless each loss is to have its own update.
func (t *generator) generatorStep(g *torch.Scope, seen int64, e *examples) []measurement {
	if t.settings.Separate {
		first, before := t.generatorUpdate(g, seen, e, nil, nil, nil)
		z, labels := t.prior(g, "generator", seen)
		second, _ := t.generatorUpdate(g, seen, &examples{}, z, labels, before)
		return append(first, second...)
	}
	var z *torch.Tensor
	var labels []int64
	if t.settings.Lambda > 0 {
		z, labels = t.prior(g, "generator", seen)
	}
	values, _ := t.generatorUpdate(g, seen, e, z, labels, nil)
	return values
}

// generatorUpdate is one step of the generator's optimiser on examples, fresh
// latents of the given classes, or both. Before is what objective.judge asks for.
func (t *generator) generatorUpdate(g *torch.Scope, seen int64, e *examples, fresh *torch.Tensor, freshLabels []int64, before *torch.Tensor) ([]measurement, *torch.Tensor) {
	labels := append(slices.Clone(e.labels), freshLabels...)
	z := e.latents
	switch {
	case z == nil:
		z = fresh
	case fresh != nil:
		z = g.Cat(0, z, fresh)
	}
	h := t.frozen(g, z, labels)
	if h != nil && len(t.reconstructionCritics) > 0 && e.latents != nil {
		again := h.Narrow(g, 0, len(e.labels))
		e.frozen = &again
	}
	x := t.generate(g, z, labels, h)
	b := batch{
		images: x, targets: e.images, labels: labels,
		reconstructed: t.augmentation("reconstructed", seen), sampled: t.augmentation("generator", seen),
	}
	if t.settings.Augment.Reconstructions {
		b.distance = t.augmentation("distance", seen)
	}
	unscaled := 1 / t.scale.Factor() // the rule that balances the losses is not one of ratios alone
	last := func(dx *torch.Tensor) *torch.Tensor {
		return g.Scale(g.VJPRetain(x, dx, []*torch.Tensor{t.last})[0], unscaled)
	}
	v := t.judge(g, b, last, before)
	gradients := g.VJP(x, v.gradient, t.leaves)
	norm := t.update(t.optimizer, gradients, learningRate(t.settings.LR, t.settings.Decay, seen, t.settings.Images))
	for _, w := range v.weights { // now that the device has been waited for
		t.balanced(w.Item())
	}
	return append(v.measured, measurement{"gradient", g.Full(norm, 1)}), v.atLast
}

// discriminatorStep tells an independent real batch from fresh samples and, if
// there are critics of reconstructions, the examples from their reconstructions.
func (t *generator) discriminatorStep(g *torch.Scope, seen int64, e examples) []measurement {
	off := g.NoGrad()
	defer off.Close()
	n := t.settings.Batch
	var values []measurement
	var losses *torch.Tensor
	learn := func(critics []critic, fake, real *torch.Tensor, fakeLabels, realLabels []int64, suffix string) {
		loss, scoreFake, scoreReal := t.discriminate(g, critics, fake, real, fakeLabels, realLabels, t.augmentation("discriminator"+suffix, seen))
		values = append(values, measurement{"discriminator" + suffix, loss}, measurement{"score_fake" + suffix, scoreFake}, measurement{"score_real" + suffix, scoreReal})
		if losses != nil {
			loss = g.Add(losses, loss)
		}
		losses = loss
	}
	if len(t.critics) > 0 {
		z, labels := t.prior(off, "discriminator", seen)
		pixels, realLabels := t.env.Data.Gather(t.realOrder.Batch(seen, n))
		learn(t.critics, t.generate(off, z, labels, nil),
			images(off, t.env.Data, pixels, t.architecture.OutputSize()), labels, int64s(realLabels), "")
	}
	if len(t.reconstructionCritics) > 0 {
		h := e.frozen
		if h != nil {
			own := h.Narrow(off, 0, len(e.labels))
			h = &own
		}
		learn(t.reconstructionCritics, t.generate(off, e.latents, e.labels, h), e.images, e.labels, e.labels, "_reconstruction")
	}
	norm := t.update(t.discriminatorOptimizer, g.Grad(losses, t.discriminatorLeaves),
		learningRate(t.settings.DiscriminatorLR, t.settings.Decay, seen, t.settings.Images))
	return append(values, measurement{"gradient_discriminator", g.Full(norm, 1)})
}

// frozen is what the frozen part of the generator makes of latents, without a
// graph; nil when all of it trains.
func (t *generator) frozen(g *torch.Scope, z *torch.Tensor, labels []int64) *unet.Features {
	if t.from == 0 {
		return nil
	}
	off := g.NoGrad()
	defer off.Close()
	h := t.net.(*unet.UNet).Trunk(off, off.Scale(z, diffusion.CIn(diffusion.SigmaMax)), diffusion.Repeat(diffusion.SigmaMax, z.Dim(0)),
		t.architecture.Labels(labels), t.from).Keep(off)
	return &h
}

// generate is the one-step generator. H, which it consumes, is what its frozen
// part made of z, nil when that is not known.
func (t *generator) generate(g *torch.Scope, z *torch.Tensor, labels []int64, h *unet.Features) *torch.Tensor {
	if h != nil {
		return t.net.(*unet.UNet).Tail(g, *h)
	}
	return diffusion.Generate(g, t.net, z, t.architecture.Labels(labels))
}

// augmentation is DiffAugment with draws of its own for every feature network,
// which all batches of one purpose share.
func (t *generator) augmentation(purpose string, seen int64) augmentation {
	drawn := map[int]gan.Draws{}
	return func(s *torch.Scope, network int, x *torch.Tensor) *torch.Tensor {
		d, ok := drawn[network]
		if !ok {
			random := diffusion.Random(t.env.seed(t.name, fmt.Sprintf("augment %s %d", purpose, network)), seen)
			d = t.augment.Draw(random, x.Dim(0), x.Dim(2), x.Dim(3))
			drawn[network] = d
		}
		return t.augment.Apply(s, x, d)
	}
}

func (t *generator) parts() []part {
	return []part{
		{"model.", t.params}, {"ema.", t.average}, {"optimizer.", t.optimizer},
		{"discriminator.", t.discriminatorParams}, {"discriminator_optimizer.", t.discriminatorOptimizer},
	}
}
