package features

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

func TestGoldenLPIPS(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		// The metadata say it in a sentence: "vgg16 (names …) and lpips_vgg (names …, rule …)".
		nets := regexp.MustCompile(`^(\w+)\b.*?\band (\w+)`).FindStringSubmatch(f.Text("net"))
		if nets == nil {
			t.Fatalf("the metadata do not name the networks of maps and heads: %q", f.Text("net"))
		}
		vgg := &golden.Weights{Net: nets[1], Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict")}
		heads := &golden.Weights{Net: nets[2], K: vgg.K, Shapes: map[string][]int{}, Exception: func(_ string, u []float64) bool {
			for i := range u {
				u[i] = max(u[i], -u[i])
			}
			return true
		}}
		for i, width := range vggWidths {
			name := fmt.Sprintf("lin%d.model.1.weight", i)
			heads.Shapes[name] = []int{1, width, 1, 1}
			weight, err := heads.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			values, err := checkpoint.Float32s(weight)
			if err != nil {
				t.Fatal(err)
			}
			stored := fmt.Sprintf("lin.%d.weight", i)
			n := f.Tensor(stored).Len()
			f.Compare(stored, f.Scope.FromFloat32(values[:n], n), 1e-7, 0)
		}
		for at, average := range map[string]bool{"lpips": false, "piq_avg": true} {
			v, err := LoadVGG16(f.Scope, vgg, VGG16Options{AveragePooling: average})
			if err != nil {
				t.Fatal(err)
			}
			l, err := LoadLPIPS(f.Scope, v, heads)
			if err != nil {
				t.Fatal(err)
			}
			x0, x1 := f.Tensor("in.x0"), f.Tensor("in.x1")
			f.Compare("out."+at+".per_layer", l.Layers(f.Scope, x0, x1), 1e-4, 0)
			for i, m := range v.Maps(f.Scope, x0) {
				name := fmt.Sprintf("out.%s.features.%d", at, i)
				if average {
					name, m = fmt.Sprintf("out.%s.normalised_features.%d", at, i), unit(f.Scope, m)
				}
				f.CompareThinned(name, m, 1e-4)
			}
			checkDistance(f, l, at, "x0", "x1", func(_ *torch.Scope, x *torch.Tensor) *torch.Tensor { return x })
			if average {
				checkDistance(f, l, "pagoda", "p0", "p1", Seen)
				continue
			}
			for _, name := range []string{"lpips_normalize", "piq_max"} {
				f.Compare("out."+name+".distance", l.Distance(f.Scope, x0, x1), 1e-4, 0)
			}
			f.Compare("out.lpips_same.distance", l.Distance(f.Scope, x0, x0), 1e-4, 0)
		}
	}, "lpips")
}

// unit is x/(|x|+1e-10) with the norm over channels.
func unit(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Div(x, s.Affine(s.Sqrt(s.SumKeep(s.Square(x), 1)), 1, 1e-10))
}

// checkDistance compares the distance of two prepared inputs and the gradient of its sum with respect to the first.
func checkDistance(f *golden.File, l *LPIPS, at, first, second string, prepare func(s *torch.Scope, x *torch.Tensor) *torch.Tensor) {
	s := f.Scope.WithGrad()
	defer s.Close()
	x := leaf(f, "in."+first)
	d := l.Distance(s, prepare(s, x), prepare(s, f.Tensor("in."+second)))
	f.Compare("out."+at+".distance", d, 1e-4, 0)
	f.Compare("grad."+at+".in."+first, s.Grad(s.Sum(d), []*torch.Tensor{x})[0], 5e-3, 0)
}

func TestLPIPSRefusesOtherHeads(t *testing.T) {
	s := newScope(t)
	heads := &golden.Weights{Net: "lpips_vgg", Gain: 1, Shapes: map[string][]int{}}
	for i, width := range vggWidths {
		heads.Shapes[fmt.Sprintf("lin%d.model.1.weight", i)] = []int{1, width, 1, 1}
	}
	heads.Shapes["lin2.model.1.weight"] = []int{1, 384, 1, 1} // AlexNet's
	if _, err := LoadLPIPS(s, &VGG16{}, heads); err == nil || !strings.Contains(err.Error(), "lin2.model.1.weight") {
		t.Errorf("heads of another network: %v", err)
	}
}
