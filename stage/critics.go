package stage

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// newObjective makes what stage 2 or 3 minimises as the settings say. Frozen
// networks live in work, in its precision. What trains, and the random
// projections, which belong to the run, are made in params.
func (e *Env) newObjective(root, work *torch.Scope, params *nn.Params, settings config.Distill, classes int) (*objective, error) {
	o := &objective{loss: gan.Loss(settings.Loss), lambda: settings.Lambda, balance: gan.Balance(settings.Balance), reconstructionLambda: settings.ReconstructionLambda}
	if o.loss == "" {
		o.loss = gan.Hinge
	}
	if o.balance == "" {
		o.balance = gan.Fixed
	}
	f, err := e.loadFeatures(root, work)
	if err != nil {
		return nil, err
	}
	if settings.Reconstruct > 0 {
		if o.distance, err = f.metric(params.Root().At("distance"), settings.Distance); err != nil {
			return nil, err
		}
	}
	for _, judged := range []struct {
		critics *[]critic
		name    string
		lambda  float64
	}{{&o.critics, "samples", settings.Lambda}, {&o.reconstructionCritics, "reconstructions", settings.ReconstructionLambda}} {
		if judged.lambda == 0 {
			continue
		}
		for _, network := range f.networks(params.Root().At(judged.name)) {
			c, err := newCritic(params.Root().At(judged.name, network.name), network, settings, classes)
			if err != nil {
				return nil, err
			}
			*judged.critics = append(*judged.critics, c)
		}
	}
	return o, nil
}

// named is a feature network and what a discriminator on it needs to know.
type named struct {
	features.Network
	name  string
	sizes []int // nominal sizes of the maps
}

// frozen are the feature networks of a run; projections are made for every use of them.
type frozenFeatures struct {
	work     *torch.Scope
	inDomain *features.Classifier // nil: pretrained
	deit     *features.ViT
	effnet   *features.EfficientNet
	names    []string
}

func (e *Env) loadFeatures(root, work *torch.Scope) (*frozenFeatures, error) {
	f := &frozenFeatures{work: work, names: e.Config.Features.Networks}
	if !e.Config.Features.Pretrained() {
		own := nn.NewBlankParams(root)
		classifier := newFeatures(e, own.Root())
		if err := loadClassifier(e.Path(FeaturesFile), own); err != nil {
			return nil, err
		}
		f.inDomain = classifier.Fold(work)
		return f, nil
	}
	for _, name := range f.names {
		w, err := openWeights(name)
		if err != nil {
			return nil, err
		}
		switch name {
		case config.DeiT:
			f.deit, err = features.LoadDeiT(work, w)
		case config.EfficientNet:
			f.effnet, err = features.LoadEfficientNet(work, w, features.EfficientNetOptions{AsBuilt: e.Config.Features.AsBuilt})
		}
		w.Close()
		if err != nil {
			return nil, fmt.Errorf("feature network %s: %w", name, err)
		}
	}
	return f, nil
}

// networks are the feature networks for one use, with random projections at p.
func (f *frozenFeatures) networks(p nn.Path) []named {
	if f.inDomain != nil {
		var sizes []int
		for i := range f.inDomain.Channels() {
			sizes = append(sizes, f.inDomain.Resolution>>i)
		}
		return []named{{f.inDomain, config.InDomain, sizes}}
	}
	var out []named
	for _, name := range f.names {
		at := p.At(name, "features")
		var backbone features.Network = f.effnet
		if name == config.DeiT {
			backbone = features.NewDeiT(at.At("pretrained"), f.deit)
		}
		out = append(out, named{features.NewProjected(at.At("scratch"), backbone), name, []int{128, 64, 32, 16}})
	}
	return out
}

// metric is the distance of the reconstruction loss.
func (f *frozenFeatures) metric(p nn.Path, distance string) (features.Metric, error) {
	if distance == config.LPIPS {
		return loadLPIPS(f.work)
	}
	var networks []features.Network
	for _, n := range f.networks(p) {
		networks = append(networks, n.Network)
	}
	if f.inDomain != nil {
		return features.NewMetric(networks...), nil
	}
	return features.NewProjectedMetric(networks...), nil
}

// newCritic makes a discriminator on the maps of a feature network.
func newCritic(p nn.Path, f named, settings config.Distill, classes int) (critic, error) {
	if settings.Discriminator != config.MultiScale {
		d := gan.NewProjectionD(p, f.Channels(), f.sizes, settings.Heads, max(1, classes))
		d.Gain = settings.Gain
		return critic{f, d, false}, nil
	}
	head := gan.HeadConfig{}
	if !settings.Unconditional {
		head.Classes, head.EmbedDim = classes, classEmbedding
	}
	if settings.ClassEmbedding == "" {
		return critic{f, gan.NewMultiScaleD(p, f.Channels(), f.sizes, head), true}, nil
	}
	table, err := checkpoint.Open(settings.ClassEmbedding)
	if err != nil {
		return critic{}, fmt.Errorf("the class embedding: %w", err)
	}
	defer table.Close()
	stored, err := table.Tensor("weight")
	if err != nil || len(stored.Shape) != 2 || stored.Shape[0] != classes {
		return critic{}, fmt.Errorf("the class embedding in %s: it needs a tensor \"weight\" of %d rows, one a class", settings.ClassEmbedding, classes)
	}
	head.EmbedDim = stored.Shape[1]
	d := gan.NewMultiScaleD(p, f.Channels(), f.sizes, head)
	for _, embed := range d.Embeddings() {
		if err := nn.Fill(embed, stored); err != nil {
			return critic{}, fmt.Errorf("the class embedding: %w", err)
		}
		embed.RequireGrad(false)
	}
	return critic{f, d, true}, nil
}

// classEmbedding is the width of learnt class embeddings, that of the reference's pretrained ones.
const classEmbedding = 320
