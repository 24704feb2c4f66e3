package stage

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
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
	net             diffusion.Network
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

	source               pairSource
	pairs                *pairs.Store
	pairOrder, realOrder *data.Order
	watch
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
	network.Recompute(t.net, e.Config.Network.Checkpointing)
	t.average.Freeze()
	t.params.Train(func(name string) bool { return from == 0 || unet.Trains(name, from) })
	t.leaves = t.params.Trainable()
	t.last = network.LastConvolution(t.params)
	o := optim.Options{Kind: optim.Kind(settings.Optimizer), Beta1: settings.Beta1, Beta2: settings.Beta2}
	t.optimizer = optim.New(root, t.leaves, o)
	t.ema = optim.NewEMA(t.average.Tensors(), t.params.Tensors(), settings.EMA, emaWarmUp)

	t.work = e.working(root)
	a := settings.Augment
	t.augment = gan.DiffAugment{Color: a.Color, Translation: a.Translation, Cutout: a.Cutout, Fill: a.Fill}
	t.discriminatorParams = nn.NewParams(root, e.seed(name, "discriminator"))
	if t.objective, err = e.newObjective(root, t.work, t.discriminatorParams, settings, c.Classes()); err != nil {
		return nil, err
	}
	t.discriminatorLeaves = t.discriminatorParams.Trainable()
	t.discriminatorOptimizer = optim.New(root, t.discriminatorLeaves, o)

	count := t.pairs.Len()
	if settings.Pairs > 0 {
		count = min(count, settings.Pairs)
	}
	t.pairOrder = data.NewOrder(count, false, e.seed(name, "pairs"))
	t.realOrder = data.NewOrder(e.Data.Len(), e.Config.Data.Mirror, e.seed(name, "real"))
	t.source = t.pairBatch
	if settings.Target == config.ToTeacher {
		t.source, err = t.teacherBatch(root)
	}
	return t, err
}

func (t *generator) batch() int { return t.settings.Batch }

func (t *generator) step(s *torch.Scope, seen int64) []measurement {
	g := s.WithGrad()
	defer g.Close()
	values := t.generatorStep(g, seen)
	t.ema.Update(seen / int64(t.settings.Batch))
	if len(t.discriminatorLeaves) > 0 {
		values = append(values, t.discriminatorStep(g, seen)...)
	}
	for i, m := range values {
		values[i].value = g.Keep(g.Detach(m.value))
	}
	return values
}

// generatorStep minimises L_rec + lambda·L_adv. The reconstructions and the
// samples that the discriminators judge run through the network as one batch,
// unless each loss is to have its own update.
func (t *generator) generatorStep(g *torch.Scope, seen int64) []measurement {
	r := t.settings.Reconstruct
	var z, targets *torch.Tensor
	var labels []int64
	if r > 0 {
		z, labels, targets = t.source(g, seen)
	}
	if t.settings.Separate {
		first, before := t.generatorUpdate(g, seen, z, targets, labels, nil)
		fresh, freshLabels := t.prior(g, "generator", seen)
		second, _ := t.generatorUpdate(g, seen, fresh, nil, freshLabels, before)
		return append(first, second...)
	}
	if t.settings.Lambda > 0 {
		fresh, freshLabels := t.prior(g, "generator", seen)
		if r > 0 {
			fresh = g.Cat(0, z, fresh)
		}
		z, labels = fresh, append(labels, freshLabels...)
	}
	values, _ := t.generatorUpdate(g, seen, z, targets, labels, nil)
	return values
}

// generatorUpdate is one step of the generator's optimiser.
func (t *generator) generatorUpdate(g *torch.Scope, seen int64, z, targets *torch.Tensor, labels []int64, before *torch.Tensor) ([]measurement, *torch.Tensor) {
	x := t.generate(g, z, labels)
	b := batch{
		images: x, targets: targets, labels: labels,
		reconstructed: t.augmentation("reconstructed", seen), sampled: t.augmentation("generator", seen),
	}
	if t.settings.Augment.Reconstructions {
		b.distance = t.augmentation("distance", seen)
	}
	last := func(dx *torch.Tensor) *torch.Tensor { return g.VJPRetain(x, dx, []*torch.Tensor{t.last})[0] }
	v := t.judge(g, b, last, before)
	gradients := g.VJP(x, v.gradient, t.leaves)
	norm := t.update(t.optimizer, gradients, learningRate(t.settings.LR, t.settings.Decay, seen, t.settings.Images))
	return append(v.measured, measurement{"gradient", g.Full(norm, 1)}), v.atLast
}

// discriminatorStep tells an independent real batch from fresh samples and, if
// there are critics of reconstructions, pairs' images from their reconstructions.
func (t *generator) discriminatorStep(g *torch.Scope, seen int64) []measurement {
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
		learn(t.critics, diffusion.Generate(off, t.net, z, t.architecture.Labels(labels)),
			images(off, t.env.Data, pixels, t.architecture.OutputSize()), labels, int64s(realLabels), "")
	}
	if len(t.reconstructionCritics) > 0 {
		z, labels, real := t.source(off, seen)
		learn(t.reconstructionCritics, diffusion.Generate(off, t.net, z, t.architecture.Labels(labels)), real, labels, labels, "_reconstruction")
	}
	norm := t.update(t.discriminatorOptimizer, g.Grad(losses, t.discriminatorLeaves),
		learningRate(t.settings.DiscriminatorLR, t.settings.Decay, seen, t.settings.Images))
	return append(values, measurement{"gradient_discriminator", g.Full(norm, 1)})
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
