package stage

import (
	"fmt"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// newObjective makes what stage 2 or 3 minimises as the settings say. Frozen
// networks live in work, in its precision, and must be closed. What trains, and the random
// projections, which belong to the run, are made in params.
func (e *Env) newObjective(root, work *torch.Scope, params *nn.Params, settings config.Distill, classes int) (o *objective, err error) {
	o = &objective{loss: gan.Loss(settings.Loss), lambda: settings.Lambda, balance: gan.Balance(settings.Balance), reconstructionLambda: settings.ReconstructionLambda}
	if o.loss == "" {
		o.loss = gan.Hinge
	}
	if o.balance == "" {
		o.balance = gan.Fixed
	}
	f, err := e.loadFrozen(root, work)
	if err != nil {
		return nil, err
	}
	o.frozenFeatures = f
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if settings.Reconstruct > 0 {
		if o.distance, err = e.metric(f, params.Root().At("distance"), settings.Distance); err != nil {
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
	file, stored, err := loadEmbedding(settings.ClassEmbedding, classes)
	if err != nil {
		return critic{}, err
	}
	defer file.Close()
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
