package gan

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

// setting finds an integer or list in the config or override of a file, as `'name': value` or `name=value`.
func setting(f *golden.File, name string) (out []int) {
	text := f.Text("config") + " " + f.Text("override")
	match := regexp.MustCompile(`\b` + name + `(?:': |=)(\[[^]]*\]|\d+|True)`).FindStringSubmatch(text)
	if match == nil {
		return nil
	}
	if match[1] == "True" {
		return []int{1}
	}
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(match[1], -1) {
		v, _ := strconv.Atoi(digits)
		out = append(out, v)
	}
	return out
}

// integer is setting for a single number, 0 when absent.
func integer(f *golden.File, name string) int {
	if v := setting(f, name); len(v) > 0 {
		return v[0]
	}
	return 0
}

func headConfig(f *golden.File) HeadConfig {
	c := HeadConfig{
		Channels: integer(f, "nc"), Size: integer(f, "start_sz"), End: integer(f, "end_sz"), Width: integer(f, "ndf"),
		Stem: integer(f, "head") > 0, Patch: integer(f, "patch") > 0, MapDim: integer(f, "cmap_dim"),
	}
	if c.Size == 0 {
		c.Size = 256
	}
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
		f.Compare("grad.in."+name, grads[n+i], 1e-3, f.Number("grad_abs_floor"))
	}
	f.Compare("out.eval_after_train.y", forward(s, leaves[n:], false), 1e-4, 0)
}

func TestGoldenSingleDisc(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		params := nn.NewParams(f.Scope, 0)
		d := NewSingleDisc(params.Root(), headConfig(f))
		checkDiscriminator(t, f, params, []string{"x"}, func(s *torch.Scope, x []*torch.Tensor, train bool) *torch.Tensor {
			return d.Forward(s, x[0], f.Ints("in.c"), train)
		})
	}, "disc_single", "disc_cond")
}

func TestGoldenMultiScaleD(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		n := integer(f, "num_discs")
		if n == 0 {
			n = 4
		}
		channels, sizes := setting(f, "channels"), setting(f, "resolutions")
		n = min(n, len(channels))
		params := nn.NewParams(f.Scope, 0)
		d := NewMultiScaleD(params.Root(), channels[:n], sizes[:n], headConfig(f))
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
		for _, name := range f.Names() {
			prefix, ok := strings.CutSuffix(name, "in.x")
			if !ok || strings.HasSuffix(prefix, "grad.") {
				continue
			}
			pairs := func(a, b string) (out [][2]int) {
				rows, columns := f.Ints(prefix+"in."+a), f.Ints(prefix+"in."+b)
				for i := range rows {
					out = append(out, [2]int{int(rows[i]), int(columns[i])})
				}
				return out
			}
			d := Draws{
				Brightness:  f.Floats(prefix + "in.brightness"),
				Saturation:  f.Floats(prefix + "in.saturation"),
				Contrast:    f.Floats(prefix + "in.contrast"),
				Translation: pairs("translation_x", "translation_y"),
				Cutout:      pairs("offset_x", "offset_y"),
			}
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

		w := f.Tensor("adaptive.in.w")
		w.RequireGrad(true)
		y := s.MatMul(f.Tensor("adaptive.in.x"), s.Permute(w, 1, 0))
		rec := s.VJPRetain(s.Mean(s.Square(s.Sub(y, f.Tensor("adaptive.in.target")))), nil, []*torch.Tensor{w})[0]
		adv := s.Grad(s.Neg(s.Mean(s.Tanh(y))), []*torch.Tensor{w})[0]
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
