package features

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// list is a metadata entry that holds a list of whole numbers.
func list(f *golden.File, key string) (out []int) {
	f.Decode(key, &out)
	return out
}

func TestGoldenTinyViT(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		var c struct {
			Size      int     `json:"img_size"`
			Patch     int     `json:"patch_size"`
			Width     int     `json:"embed_dim"`
			Depth     int     `json:"depth"`
			Heads     int     `json:"num_heads"`
			MLP       float64 `json:"mlp_ratio"`
			Distilled bool    `json:"distilled"`
			Eps       float64 `json:"norm_eps"`
		}
		f.Decode("config", &c)
		model, random := nn.NewBlankParams(f.Scope), nn.NewBlankParams(f.Scope)
		d := &DeiT{
			vit: NewViT(model.Root(), ViTConfig{
				Width: c.Width, Depth: c.Depth, Heads: c.Heads, Patch: c.Patch, Grid: c.Size / c.Patch,
				Distilled: c.Distilled, MLP: int(c.MLP), Eps: c.Eps,
			}),
			blocks:  list(f, "hooks"),
			readout: newReadout(random.Root(), c.Width, list(f, "features")),
		}
		f.Load(model, "param.model.")
		f.Load(random, "param.")
		model.Freeze()
		cases := 0
		for _, name := range f.Names() {
			at, ok := strings.CutSuffix(name, ".in.x")
			if !ok || strings.HasPrefix(name, "grad.") {
				continue
			}
			cases++
			s := f.Scope.WithGrad()
			x := leaf(f, name)
			var products []*torch.Tensor
			for i, m := range d.maps(s, x) {
				f.Compare(fmt.Sprintf("%s.out.layer_%d", at, i+1), m, 2e-5, 0)
				cotangent := f.Tensor(fmt.Sprintf("%s.in.cotangent%d", at, i+1))
				products = append(products, s.Reshape(s.Mul(m, cotangent), -1))
			}
			f.Compare("grad."+name, s.Grad(s.Sum(s.Cat(0, products...)), []*torch.Tensor{x})[0], 1e-4, 0)
			s.Close()
		}
		if cases == 0 {
			t.Error("no *.in.x in the file")
		}
	}, "features_tiny_vit")
}

func TestGoldenDeiT(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		readout := nn.NewBlankParams(f.Scope)
		w := &golden.Weights{Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict")}
		encoder, err := LoadDeiT(f.Scope, w)
		if err != nil {
			t.Fatal(err)
		}
		d := NewDeiT(readout.Root().At("pretrained"), encoder)
		random := &golden.Weights{Net: w.Net, Gain: f.Number("projection_gain"), K: w.K, Shapes: f.Shapes("state_dict.extra")}
		if err := load(readout, random); err != nil {
			t.Fatal(err)
		}
		d.blocks = list(f, "hooks")
		sizes := map[string]bool{}
		for _, name := range f.Names() {
			at, _, _ := strings.Cut(name, ".")
			sizes[at] = true
		}
		names := imageNames(f, "input")
		for at := range sizes {
			tokens := f.Numbers(at + ".layer_3.shape")
			size := int(tokens[2]) * d.vit.Config.Patch
			name := names[0]
			if m := regexp.MustCompile(at + `: name ([^\s,;)]+)`).FindStringSubmatch(f.Text("input")); m != nil {
				name = m[1]
			}
			s := f.Scope.Child()
			x := f.Image(name, int(tokens[0]), 3, size, int(tokens[3])*d.vit.Config.Patch)
			for i, y := range d.vit.Tokens(s, x, d.blocks) {
				f.CompareThinned(fmt.Sprintf("%s.block%d.tokens", at, d.blocks[i]), y, 2e-5)
			}
			for i, m := range d.maps(s, x) {
				f.CompareThinned(fmt.Sprintf("%s.layer_%d", at, i+1), m, 2e-5)
			}
			s.Close()
		}
	}, "features_deit_base_distilled")
}
