package stage

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// FeaturesFile is what Features leaves.
const FeaturesFile = "features.safetensors"

// Features trains the in-domain feature network: a classifier of the data, shown at every
// resolution that the stages will compare images at. A run with pretrained networks needs none.
func Features(ctx context.Context, e *Env) (err error) {
	defer torch.Recover(&err)
	if e.Config.Features.Pretrained() {
		e.progress("features", 0, 0, "the feature networks of this run are pretrained; there is none to train")
		return nil
	}
	if e.finished("features", FeaturesFile) {
		return nil
	}
	root := e.scope()
	defer root.Close()
	params := nn.NewParams(root, e.seed("features", "weights"))
	if err := e.classify(ctx, "features", e.Config.FeatureTraining(), newFeatures(e, params.Root()), params); err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	params.Save(state, "")
	return checkpoint.Write(e.Path(FeaturesFile), state, nil)
}

func newFeatures(e *Env, p nn.Path) *features.Classifier {
	return features.NewClassifier(p, e.Data.C, e.Config.Features.Width, len(e.Data.ClassNames))
}

// classifier is a network that names the class of images.
type classifier interface {
	Logits(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor
}

// classify trains a classifier whose parameters are params; it sees half of the
// images at the stages' lower resolutions.
func (e *Env) classify(ctx context.Context, name string, settings config.Classifier, net classifier, params *nn.Params) error {
	s := e.scope()
	defer s.Close()
	plain := *e.Data
	plain.MirrorClasses = false // a shoe is a shoe, whichever way it points
	t := &classifierTrainer{env: e, guard: e.newGuard(), data: &plain, name: name, settings: settings, net: net, params: params}
	t.leaves = params.Trainable()
	t.optimizer = optim.New(s, t.leaves, optim.Options{Kind: optim.AdamW, Decay: 1e-2})
	t.order = data.NewOrder(e.Data.Len(), e.Config.Data.Mirror, e.seed(name, "order"))
	return e.train(ctx, name, settings.Images, t, e.working(s))
}

// loadClassifier fills a network built in params with the trained feature network's weights.
func (e *Env) loadClassifier(params *nn.Params) error {
	params.Freeze()
	f, err := e.open(e.Path(FeaturesFile), "features")
	if err != nil {
		return fmt.Errorf("the classifier: %w", err)
	}
	defer f.Close()
	return params.Load(f, "")
}

// classifierTrainer trains a classifier by cross entropy on randomly shifted images.
type classifierTrainer struct {
	env       *Env
	data      *data.Dataset
	name      string
	settings  config.Classifier
	net       classifier
	params    *nn.Params
	leaves    []*torch.Tensor
	optimizer *optim.Optimizer
	order     *data.Order
	guard
}

func (t *classifierTrainer) batch() int { return t.settings.Batch }

func (t *classifierTrainer) step(s *torch.Scope, seen int64) []measurement {
	e, c := t.env, t.settings
	pixels, labels := t.data.Gather(t.order.Batch(seen, c.Batch))
	r := diffusion.Random(e.seed(t.name, "augment"), seen)
	shift := func() int { return r.IntN(2*c.Shift+1) - c.Shift }
	x := e.atAllScales(s, translate(s, images(s, e.Data, pixels, e.Data.H), shift(), shift()))
	if net, ok := t.net.(*features.Evaluator); ok {
		net.Dropout = r
	}
	g := s.WithGrad()
	defer g.Close()
	loss := features.CrossEntropy(g, t.net.Logits(g, x, true), int64s(labels), c.Smoothing)
	t.update(t.optimizer, g.Grad(loss, t.leaves), learningRate(c.LR, 0.1, seen, c.Images))
	return []measurement{{"loss", g.Keep(g.Detach(loss))}}
}

// translate shifts images by (dx,dy) pixels over a background of -1.
func translate(s *torch.Scope, x *torch.Tensor, dx, dy int) *torch.Tensor {
	return s.Pad(x, dx, -dx, dy, -dy, -1)
}

// atAllScales brings half of a batch down to the base and the growing resolutions, and back to its size.
func (e *Env) atAllScales(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	sizes := []int{e.Config.Network.Resolution}
	for _, g := range e.Config.Grow {
		if g.Resolution < e.Data.H {
			sizes = append(sizes, g.Resolution)
		}
	}
	n := x.Dim(0)
	share := n / 2 / len(sizes)
	parts := []*torch.Tensor{s.Narrow(x, 0, 0, n-share*len(sizes))}
	for i, size := range sizes {
		part := s.Narrow(x, 0, n-share*(len(sizes)-i), share)
		if size < e.Data.H {
			part = s.Resize(s.Resize(part, size, size, torch.Area), e.Data.H, e.Data.H, torch.Bilinear)
		}
		parts = append(parts, part)
	}
	return s.Cat(0, parts...)
}

func (t *classifierTrainer) parts() []part {
	return []part{{"model.", t.params}, {"optimizer.", t.optimizer}}
}
