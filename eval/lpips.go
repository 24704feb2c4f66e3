package eval

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
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
	vgg, _, err := fetch.Installed("vgg16")
	if err != nil {
		return nil, fmt.Errorf("LPIPS: %w", err)
	}
	heads, _, err := fetch.Installed("lpips_vgg")
	if err != nil {
		return nil, fmt.Errorf("LPIPS: %w", err)
	}
	l := &lpips{scope: torch.NewScope(device), info: NetworkInfo{
		Name: "LPIPS", Channels: 3, Device: device, Input: "VGG-16, version 0.1, maximum pooling, at the images' size",
	}}
	if err := l.load(vgg, heads); err != nil {
		l.scope.Close()
		return nil, fmt.Errorf("LPIPS: %w", err)
	}
	return l, nil
}

func (l *lpips) load(vggPath, headsPath string) (err error) {
	if l.info.SHA256, err = fetch.SHA256(vggPath); err != nil {
		return err
	}
	ofHeads, err := fetch.SHA256(headsPath)
	if err != nil {
		return err
	}
	l.info.Note = "heads sha256 " + ofHeads
	vggFile, err := pytorch.Open(vggPath)
	if err != nil {
		return err
	}
	defer vggFile.Close()
	vgg, err := features.LoadVGG16(l.scope, vggFile, features.VGG16Options{})
	if err != nil {
		return fmt.Errorf("%s: %w", vggPath, err)
	}
	heads, err := pytorch.Open(headsPath)
	if err != nil {
		return err
	}
	defer heads.Close()
	if l.net, err = features.LoadLPIPS(l.scope, vgg, heads); err != nil {
		return fmt.Errorf("%s: %w", headsPath, err)
	}
	return nil
}

func (l *lpips) Info() NetworkInfo { return l.info }

func (l *lpips) Between(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor {
	scaled := func(x *torch.Tensor) *torch.Tensor { return s.Affine(s.To(x, torch.Float32), 1/127.5, -1) }
	return l.net.Distance(s, scaled(a), scaled(b))
}

func (l *lpips) Close() { l.scope.Close() }
