package features

import (
	"fmt"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// LPIPS is the learnt distance of images of Zhang et al. 2018: squared
// differences of VGG-16's maps, every pixel's vector brought to length 1, weighted
// by channel. With maximum pooling it is the original (version 0.1), with average
// pooling the variant of package piq that PaGoDA trains and measures with. The
// original takes images in [-1,1] and piq (x+1)/2; both normalise them to the same.
type LPIPS struct {
	vgg   *VGG16
	heads [5]*torch.Tensor // (1,C,1,1)
}

// OpenLPIPS is LoadLPIPS from the files of VGG-16 and of the heads.
func OpenLPIPS(s *torch.Scope, vgg, heads string, o VGG16Options) (l *LPIPS, err error) {
	var net *VGG16
	err = FromFile(vgg, func(w Weights) (err error) {
		net, err = LoadVGG16(s, w, o)
		return err
	})
	if err == nil {
		err = FromFile(heads, func(w Weights) (err error) {
			l, err = LoadLPIPS(s, net, w)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("LPIPS: %w", err)
	}
	return l, nil
}

// LoadLPIPS makes the distance in s from the published weights of its linear
// heads, lin0.model.1.weight and so on (richzhang/PerceptualSimilarity lpips/weights/v0.1/vgg.pth).
func LoadLPIPS(s *torch.Scope, vgg *VGG16, heads Weights) (l *LPIPS, err error) {
	defer torch.Recover(&err)
	f := s.NoGrad()
	defer f.Close()
	params := nn.NewBlankParams(f)
	l = &LPIPS{vgg: vgg}
	for i, width := range vggWidths {
		l.heads[i] = params.Root().At(fmt.Sprintf("lin%d", i), "model", 1).Constant("weight", 0, 1, width, 1, 1)
	}
	if err := load(params, heads); err != nil {
		return nil, err
	}
	for i, h := range l.heads {
		l.heads[i] = s.To(h, torch.Float32)
	}
	return l, nil
}

// Layers are the parts (N,5) of Distance that the maps contribute, float32.
func (l *LPIPS) Layers(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		n := a.Dim(0)
		maps := l.vgg.Maps(s, s.Cat(0, a, b))
		parts := make([]*torch.Tensor, len(maps))
		for i, m := range maps {
			d := s.UnitDistance(s.Narrow(m, 0, 0, n), s.Narrow(m, 0, n, n), l.heads[i])
			parts[i] = s.Reshape(d, n, 1)
		}
		return s.Cat(1, parts...)
	})
}

// Distance is the distance (N), float32, of two batches of images (N,3,H,W) in
// [-1,1]. PaGoDA compares images as they are [Seen].
func (l *LPIPS) Distance(s *torch.Scope, a, b *torch.Tensor) *torch.Tensor {
	return s.Sum(l.Layers(s, a, b), 1)
}
