package stage

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// withWeights hands over published weights from where `pagoda features fetch` puts them.
func withWeights(name string, use func(w *pytorch.File) error) error {
	path, _, err := fetch.Installed(name)
	if err != nil {
		return err
	}
	w, err := pytorch.Open(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := use(w); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// loadLPIPS makes the distance of the paper in work: LPIPS on VGG-16 with average
// pooling, which compares images as they are seen by features.Projected.
func loadLPIPS(work *torch.Scope) (features.Metric, error) {
	var vgg *features.VGG16
	var lpips *features.LPIPS
	err := withWeights("vgg16", func(w *pytorch.File) (err error) {
		vgg, err = features.LoadVGG16(work, w, features.VGG16Options{AveragePooling: true})
		return err
	})
	if err == nil {
		err = withWeights("lpips_vgg", func(w *pytorch.File) (err error) {
			lpips, err = features.LoadLPIPS(work, vgg, w)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("LPIPS: %w", err)
	}
	return func(s *torch.Scope, estimate, target *torch.Tensor, _ func(int, *torch.Tensor) *torch.Tensor) *torch.Tensor {
		return lpips.Distance(s, features.Seen(s, estimate), features.Seen(s, target))
	}, nil
}
