package features

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// imageNames are the names of image formulas that a metadata entry mentions.
func imageNames(f *golden.File, key string) (names []string) {
	for _, m := range regexp.MustCompile(`\bname (\w+)`).FindAllStringSubmatch(f.Text(key), -1) {
		names = append(names, m[1])
	}
	return names
}

// crop cuts x (N,C,H,W) as `x[:,:,:h,:w]` in a metadata entry says.
func crop(s *torch.Scope, x *torch.Tensor, text string) *torch.Tensor {
	m := regexp.MustCompile(`:(\d+),:(\d+)\]`).FindStringSubmatch(text)
	h, _ := strconv.Atoi(m[1])
	w, _ := strconv.Atoi(m[2])
	return s.Narrow(s.Narrow(x, 2, 0, h), 3, 0, w)
}

func TestGoldenEfficientNet(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		s := f.Scope
		params := nn.NewBlankParams(s)
		e := NewEfficientNet(params.Root())
		w := &golden.Weights{Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict")}
		if err := load(params, w, efficientUnused...); err != nil {
			t.Fatal(err)
		}
		stem := f.Numbers("clean.mid.stem.shape")
		x := f.Image(imageNames(f, "input")[0], int(stem[0]), 3, 2*int(stem[2]), 2*int(stem[3]))
		compare := func(prefix string, e *EfficientNet, x *torch.Tensor) {
			for i, m := range e.Maps(s, x) {
				f.CompareThinned(fmt.Sprintf("%slayer%d", prefix, i), m, 1e-4)
			}
		}
		clean := e.fold(s)
		compare("clean.", clean, x)
		compare("clean.odd.", clean, crop(s, x, f.Text("odd")))
		for i, y := range clean.outputs(s, x, false) {
			name := "stem"
			if i > 0 {
				name = fmt.Sprint("blocks.", i-1)
			}
			f.CompareThinned("clean.mid."+name, y, 1e-4)
		}
		e.build(s)
		for _, name := range f.Names() {
			if at, ok := strings.CutPrefix(name, "as_built."); ok && strings.Contains(at, ".running_") {
				f.Compare(name, params.Tensor(at), 1e-4, 0)
			}
		}
		compare("as_built.", e.fold(s), x)
	}, "features_efficientnet_lite0")
}
