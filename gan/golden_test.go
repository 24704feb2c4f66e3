package gan

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// arguments are constructor arguments of the reference's SingleDisc, SingleDiscCond and MultiScaleD.
type arguments struct {
	Channels    int             `json:"nc"`
	Width       int             `json:"ndf"`
	Size        int             `json:"start_sz"`
	End         int             `json:"end_sz"`
	Head        bool            `json:"head"`
	Patch       bool            `json:"patch"`
	MapDim      int             `json:"cmap_dim"`
	Widths      []int           `json:"channels"`
	Sizes       []int           `json:"resolutions"`
	Heads       int             `json:"num_discs"`
	Projection  int             `json:"proj_type"`      // of the feature network
	Conditional json.RawMessage `json:"cond"`           // told by embed.weight, as the classes are
	Classes     int             `json:"c_dim"`          // of the reference's pretrained embedding
	Random      bool            `json:"rand_embedding"` // the embedding is stored anyway
}

// override is a setting in the words of the metadata.
var override = regexp.MustCompile(`\b(ndf|cmap_dim)=(\d+)`)

// settings are the arguments of a file. One that is not known fails the test.
func settings(t *testing.T, f *golden.File) arguments {
	t.Helper()
	a := arguments{Size: 256, Heads: 4}
	f.DecodeAll("config", &a)
	said, _, _ := strings.Cut(f.Text("override"), "(") // the reference's own values follow in brackets
	for _, m := range override.FindAllStringSubmatch(said, -1) {
		v, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		if m[1] == "ndf" {
			a.Width = v
		} else {
			a.MapDim = v
		}
	}
	return a
}

// head is what the file's heads share, and that of a single one.
func (a arguments) head(f *golden.File) HeadConfig {
	c := HeadConfig{Channels: a.Channels, Size: a.Size, End: a.End, Width: a.Width, Stem: a.Head, Patch: a.Patch, MapDim: a.MapDim}
	for _, name := range f.Names() { // the embedding is pretrained in the reference, so its size is not in the configuration
		if strings.HasPrefix(name, "param.") && strings.HasSuffix(name, "embed.weight") {
			shape := f.Tensor(name).Shape()
			c.Classes, c.EmbedDim = shape[0], shape[1]
		}
	}
	return c
}

// checkDiscriminator runs the sequence of the metadata with forward, which maps inputs in.<x> to logits.
func checkDiscriminator(t *testing.T, f *golden.File, params *nn.Params, inputs []string, forward func(s *torch.Scope, x []*torch.Tensor, train bool) *torch.Tensor) {
	f.Load(params, "param.")
	s := f.Scope.WithGrad()
	defer s.Close()
	leaves := params.Trainable()
	n := len(leaves)
	for _, name := range inputs {
		x := f.Tensor("in." + name)
		x.RequireGrad(true)
		leaves = append(leaves, x)
	}
	f.Compare("out.eval.y", forward(s, leaves[n:], false), 1e-4, 0)
	y := forward(s, leaves[n:], true)
	f.Compare("out.train.y", y, 1e-4, 0)
	grads := s.VJP(y, f.Tensor("in.cotangent"), leaves)
	var names []string
	stored := 0
	for _, name := range params.Names() {
		if params.Tensor(name).RequiresGrad() {
			names = append(names, name)
		}
		if f.Has("post.param." + name) {
			f.Compare("post.param."+name, params.Tensor(name), 1e-4, 0)
			stored++
		}
	}
	if buffers := len(params.Names()) - len(names); stored != buffers {
		t.Errorf("%d of %d buffers compared", stored, buffers)
	}
	f.CompareGradients("", ".param.", names, grads[:n], 1e-3)
	for i, name := range inputs {
		f.Compare("grad.in."+name, grads[n+i], 1e-3, f.NumberOr("grad_abs_floor", 0))
	}
	f.Compare("out.eval_after_train.y", forward(s, leaves[n:], false), 1e-4, 0)
}

func TestGoldenSingleDisc(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		params := nn.NewParams(f.Scope, 0)
		d := NewSingleDisc(params.Root(), settings(t, f).head(f))
		checkDiscriminator(t, f, params, []string{"x"}, func(s *torch.Scope, x []*torch.Tensor, train bool) *torch.Tensor {
			return d.Forward(s, x[0], f.Ints("in.c"), train)
		})
	}, "disc_single", "disc_cond")
}

func TestGoldenMultiScaleD(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		a := settings(t, f)
		n := min(a.Heads, len(a.Widths))
		params := nn.NewParams(f.Scope, 0)
		d := NewMultiScaleD(params.Root(), a.Widths[:n], a.Sizes[:n], a.head(f))
		var inputs []string
		for i := range n {
			inputs = append(inputs, fmt.Sprintf("x.%d", i))
		}
		checkDiscriminator(t, f, params, inputs, func(s *torch.Scope, x []*torch.Tensor, train bool) *torch.Tensor {
			return d.Logits(s, x, f.Ints("in.c"), train)
		})
	}, "disc_multiscale")
}

func TestGoldenDiffAugment(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		cases := 0
		for _, name := range f.Names() {
			prefix, ok := strings.CutSuffix(name, "in.x")
			if !ok || strings.HasSuffix(prefix, "grad.") {
				continue
			}
			cases++
			d := Draws(f.Draws(prefix + "in."))
			s := f.Scope.WithGrad()
			x := f.Tensor(name)
			x.RequireGrad(true)
			apply := func(d Draws) *torch.Tensor { return DiffAugment{}.Apply(s, x, d) }
			f.Compare(prefix+"mid.after_saturation", apply(Draws{Brightness: d.Brightness, Saturation: d.Saturation}), 1e-5, 0)
			f.Compare(prefix+"mid.after_contrast", apply(Draws{Brightness: d.Brightness, Saturation: d.Saturation, Contrast: d.Contrast}), 1e-5, 0)
			shifted := d
			shifted.Cutout = nil
			f.Compare(prefix+"mid.after_translation", apply(shifted), 1e-5, 0)
			y := apply(d)
			f.Compare(prefix+"out.y", y, 1e-5, 0)
			f.Compare(prefix+"grad.in.x", s.VJP(y, f.Tensor(prefix+"in.cotangent"), []*torch.Tensor{x})[0], 1e-5, 0)
			s.Close()
		}
		if cases == 0 {
			t.Error("no *in.x in the file")
		}
	}, "diffaug")
}

func TestGoldenLoss(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		s := f.Scope.WithGrad()
		defer s.Close()
		logits := func(kind string) (names []string, out []*torch.Tensor) {
			for i := 0; f.Has(fmt.Sprintf("in.logits_%s.%d", kind, i)); i++ {
				names = append(names, fmt.Sprintf("logits_%s.%d", kind, i))
				x := f.Tensor("in." + names[i])
				x.RequireGrad(true)
				out = append(out, x)
			}
			return names, out
		}
		fakeNames, fake := logits("fake")
		realNames, real := logits("real")
		check := func(loss string, value *torch.Tensor, names []string, x []*torch.Tensor) {
			f.Compare("out."+loss, value, 1e-5, 0)
			for i, g := range s.Grad(value, x) {
				f.Compare("grad."+loss+"."+names[i], g, 1e-5, 0)
			}
		}
		check("loss_D", Hinge.Discriminator(s, fake, real), append(fakeNames, realNames...), append(fake, real...))
		check("g_loss", Hinge.Generator(s, fake), fakeNames, fake)
		settled := func(x []*torch.Tensor, at float64) (out []*torch.Tensor) { // logits that cost nothing
			for _, l := range x {
				out = append(out, s.Affine(l, 0, at))
			}
			return out
		}
		f.Compare("out.loss_Dgen", Hinge.Discriminator(s, fake, settled(real, 2)), 1e-5, 0)
		f.Compare("out.loss_Dreal", Hinge.Discriminator(s, settled(fake, -2), real), 1e-5, 0)

		w := f.Tensor("adaptive.in.w")
		w.RequireGrad(true)
		y := s.MatMul(f.Tensor("adaptive.in.x"), s.Permute(w, 1, 0))
		rec := s.VJPRetain(s.Mean(s.Square(s.Sub(y, f.Tensor("adaptive.in.target")))), nil, []*torch.Tensor{w})[0]
		adv := s.Grad(s.Neg(s.Mean(s.Tanh(y))), []*torch.Tensor{w})[0]
		f.CompareFloats("adaptive.out.loss1_grad_norm", []float64{torch.Norm([]*torch.Tensor{rec})}, 1e-5, 0)
		f.CompareFloats("adaptive.out.loss2_grad_norm", []float64{torch.Norm([]*torch.Tensor{adv})}, 1e-5, 0)
		unclipped := f.Tensor("adaptive.out.unclipped_scale1").Item()
		if want, got := min(max(unclipped, LeastWeight), MostWeight), Norms.Weight(s, rec, adv).Item(); math.Abs(got/want-1) > 1e-5 {
			t.Errorf("weight %g, want %g, which is %g clipped", got, want, unclipped)
		}
		for _, name := range f.Names() {
			if scale, ok := strings.CutPrefix(name, "adaptive.in.loss2_scale."); ok {
				f.Compare("adaptive.out."+scale, Norms.Weight(s, rec, s.Scale(adv, f.Tensor(name).Item())), 1e-5, 0)
			}
			if norm, ok := strings.CutPrefix(name, "adaptive.out.given_norm_"); ok {
				v, err := strconv.ParseFloat(norm, 64)
				if err != nil {
					t.Fatal(err)
				}
				f.Compare(name, Norms.Weight(s, s.Full(v), adv), 1e-5, 0)
			}
		}
		if one := Norms.Weight(s, s.Zeros(3), adv).Item(); one != 1 {
			t.Errorf("weight %g without a reconstruction gradient, want 1", one)
		}
	}, "loss_gan")
}
