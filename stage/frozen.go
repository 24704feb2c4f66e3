package stage

import (
	"fmt"
	"math/bits"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// frozenFeatures are the feature networks of a run. Those that are pretrained are
// mixed by random projections, which every use of them has of its own.
type frozenFeatures struct {
	work      *torch.Scope
	inDomain  *features.Classifier // nil: pretrained
	backbones []backbone
	scripts   []*features.Script // among the backbones, to be closed
}

// backbone is a pretrained network before the random projection.
type backbone struct {
	name  string
	at    func(p nn.Path) features.Network // with what of it is random at p
	sizes []int                            // nominal sizes of its projected maps
}

// projectedSizes are the nominal sizes of the maps of the published networks.
var projectedSizes = []int{128, 64, 32, 16}

func (e *Env) loadFrozen(root, work *torch.Scope) (f *frozenFeatures, err error) {
	f = &frozenFeatures{work: work}
	if !e.Config.Features.Pretrained() {
		own := nn.NewBlankParams(root)
		classifier := newFeatures(e, own.Root())
		if err := e.loadClassifier(own); err != nil {
			return nil, err
		}
		f.inDomain = classifier.Fold(work)
		return f, nil
	}
	for _, name := range e.Config.Features.Networks {
		b, err := e.loadBackbone(f, name)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("feature network %s: %w", name, err)
		}
		f.backbones = append(f.backbones, b)
	}
	return f, nil
}

// loadBackbone loads a pretrained network: one of the published ones, or a TorchScript file.
func (e *Env) loadBackbone(f *frozenFeatures, name string) (b backbone, err error) {
	fixed := func(n features.Network) func(nn.Path) features.Network {
		return func(nn.Path) features.Network { return n }
	}
	b = backbone{name: name, sizes: projectedSizes}
	switch name {
	case config.EfficientNet:
		err = e.withWeights(name, func(w features.Weights) error {
			n, err := features.LoadEfficientNet(f.work, w, features.EfficientNetOptions{AsBuilt: e.Config.Features.AsBuilt})
			b.at = fixed(n)
			return err
		})
	case config.DeiT:
		err = e.withWeights(name, func(w features.Weights) error {
			n, err := features.LoadDeiT(f.work, w)
			b.at = func(p nn.Path) features.Network { return features.NewDeiT(p.At("pretrained"), n) }
			return err
		})
	default:
		var path string
		if path, err = e.weights(name); err != nil {
			return b, err
		}
		var n *features.Script
		if n, err = features.LoadScript(f.work, path); err == nil {
			f.scripts = append(f.scripts, n)
			b.at, b.sizes = fixed(n), nil
			for _, side := range n.Sides() {
				b.sizes = append(b.sizes, 1<<bits.Len(uint(2*side-1)))
			}
			b.name = fmt.Sprintf("script%d", len(f.scripts)) // a path does not belong into names of tensors
		}
	}
	return b, err
}

// named is a feature network and what a discriminator on it needs to know.
type named struct {
	features.Network
	name  string
	sizes []int // nominal sizes of the maps
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
	for _, b := range f.backbones {
		at := p.At(b.name, "features")
		out = append(out, named{features.NewProjected(at.At("scratch"), b.at(at)), b.name, b.sizes})
	}
	return out
}

// metric is the distance of the reconstruction loss.
func (e *Env) metric(f *frozenFeatures, p nn.Path, distance string) (features.Metric, error) {
	if distance == config.LPIPS {
		return e.loadLPIPS(f.work)
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

// close frees what no scope owns.
func (f *frozenFeatures) close() {
	for _, n := range f.scripts {
		n.Close()
	}
}
