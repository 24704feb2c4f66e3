package gan

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

func TestGoldenTextHead(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		var config struct {
			Channels  int `json:"channels"`
			Condition int `json:"c_dim"`
			MapDim    int `json:"cmap_dim"`
		}
		f.Decode("config", &config)
		cases := 0
		for _, name := range f.Names() {
			at, ok := strings.CutSuffix(name, ".out.train")
			if !ok {
				continue
			}
			cases++
			s := f.Scope.WithGrad()
			params, prefix, inputs := nn.NewBlankParams(s), "uncond.param.", []string{"x"}
			c := TextHeadConfig{}
			if f.Has(at + ".in.c") {
				prefix, inputs = "param.", []string{"x", "c"}
				c = TextHeadConfig{Condition: config.Condition, MapDim: config.MapDim}
			}
			h := NewTextHead(params.Root(), config.Channels, c)
			f.Load(params, prefix)
			leaves := make([]*torch.Tensor, 2)
			for i, in := range inputs {
				leaves[i] = f.Tensor(at + ".in." + in)
				leaves[i].RequireGrad(true)
			}
			forward := func(train bool) *torch.Tensor {
				x := leaves[0].Shape()
				return h.Forward(s, s.Reshape(leaves[0], x[0], x[1], 1, x[2]), leaves[1], train)
			}
			f.Compare(at+".out.eval", forward(false), 2e-5, 0)
			y := forward(true)
			f.Compare(at+".out.train", y, 2e-5, 0)
			leaves = leaves[:len(inputs)]
			trainable := params.Trainable()
			cotangent := f.Tensor(at + ".in.cotangent")
			grads := s.VJP(y, s.Reshape(cotangent, y.Dim(0), -1), append(leaves[:len(leaves):len(leaves)], trainable...))
			for i, in := range inputs {
				f.Compare(at+".grad.in."+in, grads[i], 1e-4, 0)
			}
			compareHead(t, f, at, params, grads[len(inputs):])
			s.Close()
		}
		if cases == 0 {
			t.Error("no cases in the file")
		}
	}, "stylegan_t_dischead")
}

// compareHead compares gradients of the trainable parameters, in their order,
// and the spectral vectors. Biases in front of a normalisation have gradient
// zero: only rounding noise, which is held against the largest gradient.
func compareHead(t *testing.T, f *golden.File, at string, params *nn.Params, grads []*torch.Tensor) {
	t.Helper()
	top := 0.
	for _, g := range grads {
		top = max(top, torch.Norm([]*torch.Tensor{g}))
	}
	for _, name := range params.Names() {
		if !params.Tensor(name).RequiresGrad() {
			f.Compare(at+".post.param."+name, params.Tensor(name), 2e-5, 0)
			continue
		}
		floor := 0.
		if strings.HasPrefix(name, "main.") && strings.HasSuffix(name, ".0.bias") {
			floor = 1e-6 * top
		}
		f.Compare(at+".grad.param."+name, grads[0], 1e-4, floor)
		grads = grads[1:]
	}
}

func TestGoldenTextDiscriminator(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		dino, err := features.LoadDINO(f.Scope, &golden.Weights{
			Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict"),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := &golden.Weights{Net: f.Text("heads.net"), Gain: 1, K: f.Int("formula_k"), Shapes: f.Shapes("heads.state_dict"), Exception: func(name string, u []float64) bool {
			if strings.HasSuffix(name, ".weight_u") || strings.HasSuffix(name, ".weight_v") {
				normalise(u)
				return true
			}
			return strings.HasSuffix(name, "cmapper.weight")
		}}
		mapper := w.Shapes["0.cmapper.weight"]
		params := nn.NewBlankParams(f.Scope)
		d := NewTextDiscriminator(params.Root(), dino.Channels(), TextHeadConfig{Condition: mapper[1], MapDim: mapper[0]})
		if err := params.Load(w, ""); err != nil {
			t.Fatal(err)
		}
		s := f.Scope.WithGrad()
		defer s.Close()
		note := regexp.MustCompile(`2\*(in\.\w+)-1.*formula '([^']+)'`).FindStringSubmatch(f.Text("logits.note"))
		x := s.Affine(f.Tensor(note[1]), 2, -1)
		x.RequireGrad(true)
		n := x.Dim(0)
		rows := golden.Uniform(note[2], w.K, n*mapper[1])
		condition := make([]float32, len(rows))
		for i := range n {
			row := rows[i*mapper[1] : (i+1)*mapper[1]]
			normalise(row)
			for j, v := range row {
				condition[i*mapper[1]+j] = float32(v)
			}
		}
		c := f.Scope.FromFloat32(condition, n, mapper[1])
		maps := dino.Maps(s, x)
		y := d.Logits(s, maps, c, true)
		f.Compare("out.logits_train", y, 1e-4, 0)
		f.CompareThinned("grad.mean_logits.in.x", s.Grad(s.Mean(y), []*torch.Tensor{x})[0], 1e-2)
		quiet := f.Scope.NoGrad()
		defer quiet.Close()
		f.Compare("out.logits_eval_after", d.Logits(quiet, maps, c, false), 1e-4, 0)
	}, "dino_vits16")
}

// normalise brings v to length 1.
func normalise(v []float64) {
	square := 0.
	for _, x := range v {
		square += x * x
	}
	for i := range v {
		v[i] /= math.Sqrt(square)
	}
}

func TestTextHeadNeedsEqualGroups(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	h := NewTextHead(nn.NewParams(s, 1).Root(), 4, TextHeadConfig{})
	for n, fits := range map[int]bool{7: true, 8: true, 9: false, 12: true, 17: false, 18: true} {
		err := func() (err error) {
			defer torch.Recover(&err)
			h.Forward(s, s.Zeros(n, 4, 3, 3), nil, false)
			return nil
		}()
		var tensor *torch.Error
		if fits != (err == nil) || err != nil && !errors.As(err, &tensor) {
			t.Errorf("a batch of %d: %v", n, err)
		}
	}
}
