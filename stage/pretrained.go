package stage

import (
	"errors"
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// WeightsFile says which pretrained weights a run uses: the SHA-256 of each, by its name.
const WeightsFile = "weights.json"

// weights is the path of pretrained weights: where `pagoda features fetch` puts
// those of a name of its catalogue, or a TorchScript file itself. A run keeps to
// the weights that it began with.
func (e *Env) weights(name string) (path string, err error) {
	path = name
	if !config.IsScript(name) {
		if path, _, err = fetch.Installed(name); err != nil {
			return "", err
		}
	}
	sum, err := fetch.SHA256(path)
	if err != nil {
		return "", err
	}
	first, err := e.remember(WeightsFile, name, sum)
	if err == nil && first != sum {
		err = fmt.Errorf("%s has SHA-256 %s, and the run began with weights of SHA-256 %s: put those back, or start a new run", path, sum, first)
	}
	return path, err
}

// withWeights hands over published weights.
func (e *Env) withWeights(name string, use func(w features.Weights) error) error {
	path, err := e.weights(name)
	if err != nil {
		return err
	}
	return features.FromFile(path, use)
}

// loadLPIPS makes the distance of the paper in work: LPIPS on VGG-16 with average
// pooling, which compares images as they are seen by features.Projected.
func (e *Env) loadLPIPS(work *torch.Scope) (features.Metric, error) {
	vgg, err := e.weights(fetch.VGG16)
	if err != nil {
		return nil, err
	}
	heads, err := e.weights(fetch.LPIPS)
	if err != nil {
		return nil, err
	}
	lpips, err := features.OpenLPIPS(work, vgg, heads, features.VGG16Options{AveragePooling: true})
	if err != nil {
		return nil, err
	}
	return func(s *torch.Scope, estimate, target *torch.Tensor, _ func(int, *torch.Tensor) *torch.Tensor) *torch.Tensor {
		return lpips.Distance(s, features.Seen(s, estimate), features.Seen(s, target))
	}, nil
}

// loadEmbedding reads a pretrained class embedding (classes,width): a safetensors
// file, or one of PyTorch's such as in_embeddings/tf_efficientnet_lite0.pkl of
// sony/pagoda. F must be closed.
func loadEmbedding(path string, classes int) (f *pytorch.File, embedding checkpoint.Tensor, err error) {
	f, err = pytorch.Open(path)
	if err != nil {
		return nil, embedding, fmt.Errorf("the class embedding: %w", err)
	}
	for _, name := range []string{"embed.weight", "embed", "weight"} {
		embedding, err = f.Tensor(name)
		if errors.Is(err, checkpoint.ErrNoTensor) {
			continue
		}
		if err == nil && (len(embedding.Shape) != 2 || embedding.Shape[0] != classes) {
			err = fmt.Errorf("%s has the shape %v; it must have %d rows, one a class", name, embedding.Shape, classes)
		}
		break
	}
	if errors.Is(err, checkpoint.ErrNoTensor) {
		names := f.Names()
		err = fmt.Errorf("it has no tensor embed.weight, embed or weight but %q", names[:min(len(names), 5)])
	}
	if err != nil {
		return nil, embedding, errors.Join(fmt.Errorf("the class embedding in %s: %w", path, err), f.Close())
	}
	return f, embedding, nil
}

// ready says what the generators that are yet to be trained need from elsewhere and is not there.
func (e *Env) ready() error {
	for n, settings := range e.Config.Adversarial() {
		if e.done(GeneratorFile(e.architecture(n).OutputSize())) {
			continue
		}
		var names []string
		if e.Config.Features.Pretrained() {
			names = append(names, e.Config.Features.Networks...)
		}
		if settings.Distance == config.LPIPS && settings.Reconstruct > 0 {
			names = append(names, fetch.VGG16, fetch.LPIPS)
		}
		for _, name := range names {
			if _, err := e.weights(name); err != nil {
				return fmt.Errorf("feature network %s: %w", name, err)
			}
		}
		if settings.ClassEmbedding != "" {
			f, _, err := loadEmbedding(settings.ClassEmbedding, e.classes())
			if err != nil {
				return err
			}
			f.Close()
		}
	}
	return nil
}
