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
	for _, m := range regexp.MustCompile(`\bname ([^\s,;)]+)`).FindAllStringSubmatch(f.Text(key), -1) {
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

// pictured is the image of the formula (n,3,H,W), of at most h×w and smaller by
// less than slack, that fits: maps tell the size only up to rounding.
func pictured(f *golden.File, name string, n, h, w, slack int, fits func(x *torch.Tensor) bool) *torch.Tensor {
	for i := range slack {
		for j := range slack {
			if x := f.Image(name, n, 3, h-i, w-j); fits(x) {
				return x
			}
		}
	}
	return f.Image(name, n, 3, h, w)
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
		compare := func(prefix string, e *EfficientNet, x *torch.Tensor) {
			for i, m := range e.Maps(s, x) {
				f.CompareThinned(fmt.Sprintf("%slayer%d", prefix, i), m, 1e-4)
			}
		}
		clean := e.fold(s)
		stem := f.Numbers("clean.mid.stem.shape")
		x := pictured(f, imageNames(f, "input")[0], int(stem[0]), 2*int(stem[2]), 2*int(stem[3]), 2, func(x *torch.Tensor) bool {
			return f.IsThinned("clean.mid.stem", clean.stem.forward(s, s.ChannelsLast(x), false), 1e-4)
		})
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
		moved := 0
		for _, name := range f.Names() {
			if at, ok := strings.CutPrefix(name, "as_built."); ok && strings.Contains(at, ".running_") {
				f.Compare(name, params.Tensor(at), 1e-4, 0)
				moved++
			}
		}
		if moved == 0 {
			t.Error("no as_built.*.running_* in the file")
		}
		compare("as_built.", e.fold(s), x)
	}, "features_efficientnet_lite0")
}
