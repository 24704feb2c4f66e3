package eval

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/torch"
)

// lpips is the learnt distance of Zhang et al. 2018, version 0.1 on VGG-16.
type lpips struct {
	scope *torch.Scope
	net   *features.LPIPS
	info  NetworkInfo
}

// OpenLPIPS opens LPIPS from the files of torchvision's VGG-16 and of the linear
// heads (vgg.pth of richzhang/PerceptualSimilarity), with maximum pooling, as the original.
func OpenLPIPS(vgg, heads string, device torch.Device) (Distance, error) {
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
	if l.info.SHA256, err = sha256Of(vggPath); err != nil {
		return err
	}
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
