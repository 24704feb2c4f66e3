package features

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

// The discriminator's heads on these maps, and its gradient, are tested in package gan.
func TestGoldenDINO(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		w := &golden.Weights{Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict")}
		d, err := LoadDINO(f.Scope, w)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		check := func(at string, x *torch.Tensor) {
			checked++
			s := f.Scope.Child()
			defer s.Close()
			f.CompareThinned(at+".resized", s.Affine(d.resize(s, x), 0.5, 0.5), 2e-5)
			for i, m := range d.Maps(s, x) {
				tokens := s.Reshape(m, m.Dim(0), m.Dim(1), -1)
				f.CompareThinned(fmt.Sprintf("%s.feature.%d", at, i), tokens, 2e-5)
			}
		}
		for _, name := range f.Names() {
			if at, ok := strings.CutPrefix(name, "in.x"); ok {
				check("x"+at, f.Scope.Affine(f.Tensor(name), 2, -1))
			}
		}
		for _, m := range regexp.MustCompile(`(\w+): \(image formula '([^']+)' (\w+)x(\w+)x(\w+)x(\w+)`).FindAllStringSubmatch(f.Text("inputs"), -1) {
			var shape [4]int
			for i := range shape {
				shape[i], err = strconv.Atoi(m[3+i])
				if err != nil {
					t.Fatal(err)
				}
			}
			check(m[1], f.Image(m[2], shape[0], shape[1], shape[2], shape[3]))
		}
		resized := 0
		for _, name := range f.Names() {
			if strings.HasSuffix(name, ".resized.sample") {
				resized++
			}
		}
		if checked == 0 || checked != resized {
			t.Errorf("%d of %d images compared", checked, resized)
		}
	}, "dino_vits16")
}
