package eval

import (
	"fmt"

	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// lpips is the learnt distance of Zhang et al. 2018, version 0.1 on VGG-16.
type lpips struct {
	scope *torch.Scope
	net   *features.LPIPS
	info  NetworkInfo
}

// OpenLPIPS opens LPIPS from the published weights that package fetch installs,
// vgg16 and lpips_vgg, with maximum pooling, as the original.
func OpenLPIPS(device torch.Device) (Distance, error) {
	var paths, sums [2]string
	for i, name := range []string{fetch.VGG16, fetch.LPIPS} {
		var err error
		if paths[i], _, err = fetch.Installed(name); err == nil {
			sums[i], err = fetch.SHA256(paths[i])
		}
		if err != nil {
			return nil, fmt.Errorf("LPIPS: %w", err)
		}
	}
	scope := torch.NewScope(device)
	net, err := features.OpenLPIPS(scope, paths[0], paths[1], features.VGG16Options{})
	if err != nil {
		scope.Close()
		return nil, err
	}
	return &lpips{scope, net, NetworkInfo{
		Name: "LPIPS", Channels: 3, Device: device, SHA256: sums[0], Note: "heads sha256 " + sums[1],
		Input: "VGG-16, version 0.1, maximum pooling, at the images' size",
	}}, nil
}

func (l *lpips) Info() NetworkInfo { return l.info }

func (l *lpips) Between(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor {
	scaled := func(x *torch.Tensor) *torch.Tensor { return s.Affine(s.To(x, torch.Float32), 1/127.5, -1) }
	return l.net.Distance(s, scaled(a), scaled(b))
}

func (l *lpips) Close() { l.scope.Close() }
