package torch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

func TestGoldenResize(t *testing.T) {
	filters := map[string]torch.Filter{"bicubic_aa": torch.BicubicAntialias, "bicubic": torch.Bicubic, "bilinear": torch.Bilinear}
	golden.Run(t, func(t *testing.T, f *golden.File) {
		s := f.Scope
		x := f.Tensor("in.t")
		for _, name := range f.Names() {
			var h, w int
			kind, size, ok := strings.Cut(strings.TrimPrefix(name, "out."), ".")
			if n, _ := fmt.Sscanf(size, "%dx%d", &h, &w); !ok || n != 2 {
				continue
			}
			if filter, ok := filters[kind]; ok {
				f.Compare(name, s.Resize(x, h, w, filter), 1e-5, 0)
			} else if kind == "bilinear_align_corners" {
				f.Compare(name, s.ResizeAligned(x, h, w, torch.Bilinear), 1e-5, 0)
			}
		}
		shape := x.Shape()
		f.Compare("out.nearest_x2", s.Resize(x, 2*shape[2], 2*shape[3], torch.Nearest), 0, 0)
		f.Compare("out.avgpool2", s.AvgPool2d(x, 2, 2, 0), 1e-5, 0)
		f.Compare("out.avgpool2", s.Resize(x, shape[2]/2, shape[3]/2, torch.Area), 1e-5, 0)
	}, "resize")
}
