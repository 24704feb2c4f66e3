package convert

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// The pickles of testdata were made by NVlabs/edm, its source code in them replaced:
// a network of random weights as "ema", two noisy images x of classes 2 and 0 with
// their noise levels sigma, and what the network makes of them, y.
func TestEDMPickles(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	for name, want := range map[string]struct {
		is         string
		parameters int
	}{
		"vp":  {"8×8 VP teacher (DDPM++, 2993 parameters)", 2993},
		"ve":  {"8×8 VE teacher (NCSN++, 5397 parameters)", 5397},
		"edm": {"8×8 EDM teacher (ADM U-Net of EDM, 5717 parameters)", 5717},
	} {
		source, target := filepath.Join("testdata", name+".pkl"), filepath.Join(t.TempDir(), "teacher.safetensors")
		n := recognise(t, source, Options{})
		if n.String() != want.is || n.Parameters != want.parameters || n.Prefix != "ema.model." || n.Description.Stage != network.Teacher {
			t.Errorf("%s: %s, %+v", name, n, n)
		}
		if err := n.Save(target, false); err != nil {
			t.Fatal(err)
		}
		if d := denoised(t, source, target); !(d < 1e-5) {
			t.Errorf("%s: differs from PyTorch by %g", name, d)
		}
	}
}

// denoised is the largest difference between what the network in a file makes of
// a pickle's noisy images and what it should.
func denoised(t *testing.T, pickle, path string) float64 {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	weights, err := checkpoint.OpenVerified(path)
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	n, err := network.Load(s, weights)
	if err != nil {
		t.Fatal(err)
	}
	f, err := pytorch.Open(pickle)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values := map[string][]float32{}
	for _, name := range []string{"x", "sigma", "y"} {
		tensor, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if values[name], err = checkpoint.Float32s(tensor); err != nil {
			t.Fatal(err)
		}
	}
	g := s.NoGrad()
	defer g.Close()
	worst := 0.0
	for i, v := range n.Denoiser([]int64{2, 0})(g, g.FromFloat32(values["x"], 2, 1, 8, 8), values["sigma"]).Float32s() {
		worst = max(worst, math.Abs(float64(v-values["y"][i])))
	}
	return worst
}

// A teacher is told apart from what else was asked for by the file's own words.
func TestTeacherIsNoDecoder(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "edm.pkl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.Recognise(Options{Preset: "imagenet-128", Stage: network.Generator})
	if !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	for _, want := range []string{
		"edm.pkl is a 8×8 EDM teacher (ADM U-Net of EDM, 5717 parameters), not the ", "PaGoDA decoder of preset imagenet-128",
		"missing: time_embed.0.weight", "unexpected: dec.4x4_block0.affine.bias", " and ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// What the arguments of EDM's constructors leave out has the defaults of NVlabs/edm.
func TestArchitecture(t *testing.T) {
	base := map[string]any{"img_resolution": 32, "in_channels": 3, "out_channels": 3, "label_dim": 10}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(base)
		maps.Copy(all, more)
		return all
	}
	for _, c := range []struct {
		class string
		kwarg map[string]any
		count int // of parameters, as NVlabs/edm counts them
	}{
		{"SongUNet", with(nil), 61_805_827},
		{"SongUNet", with(map[string]any{"channel_mult": []any{2, 2, 2}, "augment_dim": 9}), 55_735_299},
		{"DhariwalUNet", map[string]any{"img_resolution": 64, "in_channels": 3, "out_channels": 3, "label_dim": 1000}, 295_899_267},
	} {
		a, err := architecture(pytorch.Object{Class: c.class, Kwargs: c.kwarg})
		if err != nil {
			t.Errorf("%s: %v", c.class, err)
		} else if got := (network.Config{EDM: &a}).Parameters(); got != c.count {
			t.Errorf("%s %v: %d parameters, not %d", c.class, c.kwarg, got, c.count)
		}
	}
	for want, o := range map[string]pytorch.Object{
		`class "UNet"`:                {Class: "UNet"},
		`decoder "skip"`:              {Class: "SongUNet", Kwargs: with(map[string]any{"decoder_type": "skip"})},
		"the arguments of its SongUN": {Class: "SongUNet", Kwargs: map[string]any{"in_channels": "three"}},
	} {
		if _, err := architecture(o); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestPreconditioning(t *testing.T) {
	for _, c := range []struct {
		wrapper pytorch.Object
		want    network.Preconditioning
		fails   string
	}{
		{wrapper: pytorch.Object{Class: "EDMPrecond", Attributes: map[string]any{"sigma_data": 0.5}}}, // the standard one
		{wrapper: pytorch.Object{Class: "EDMPrecond", Attributes: map[string]any{"sigma_data": 1}}, want: network.Preconditioning{Form: network.EDM, SigmaData: 1}},
		{wrapper: pytorch.Object{Class: "VPPrecond", Attributes: map[string]any{"beta_d": 19.9, "beta_min": 0.1, "M": 1000}},
			want: network.Preconditioning{Form: network.VP, BetaD: 19.9, BetaMin: 0.1, Levels: 1000}},
		{wrapper: pytorch.Object{Class: "VPPrecond"}, fails: "a VPPrecond without its constants"},
		{wrapper: pytorch.Object{Class: "iDDPMPrecond"}, fails: `a network wrapped in "iDDPMPrecond"`},
	} {
		got, err := preconditioning(c.wrapper)
		if c.fails == "" && (err != nil || got != c.want) || c.fails != "" && (!errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%+v: %+v, %v", c.wrapper, got, err)
		}
	}
}

// The networks of EDM's published pickles, by what train.py passes to their
// constructors, are those of presets where there is one for them.
func TestPublishedTeachers(t *testing.T) {
	song := map[string]any{
		"img_resolution": 32, "in_channels": 3, "out_channels": 3, "label_dim": 10, "augment_dim": 9, "dropout": 0.13,
		"model_channels": 128, "channel_mult": []any{2, 2, 2}, "embedding_type": "positional", "channel_mult_noise": 1,
		"encoder_type": "standard", "decoder_type": "standard", "resample_filter": []any{1, 1},
	}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(song)
		maps.Copy(all, more)
		return all
	}
	ffhq := map[string]any{"img_resolution": 64, "label_dim": 0, "channel_mult": []any{1, 2, 2, 2}, "dropout": 0.05}
	for _, c := range []struct {
		class  string
		kwargs map[string]any
		preset string
		is     string
	}{
		{"SongUNet", song, "cifar10", "32×32 EDM teacher of preset cifar10 (DDPM++, 55.7 M parameters)"},
		{"SongUNet", with(map[string]any{"label_dim": 0, "dropout": 0.1}), "cifar10", "32×32 EDM teacher of preset cifar10 (DDPM++, 55.7 M parameters)"},
		{"SongUNet", with(ffhq), "ffhq-64", "64×64 EDM teacher of preset ffhq-64 (DDPM++, 61.8 M parameters)"},
		{"SongUNet", with(map[string]any{"embedding_type": "fourier", "encoder_type": "residual", "channel_mult_noise": 2, "resample_filter": []any{1, 3, 3, 1}}),
			"", "32×32 EDM teacher (NCSN++, 56.4 M parameters)"},
		{"DhariwalUNet", map[string]any{"img_resolution": 64, "in_channels": 3, "out_channels": 3, "label_dim": 1000, "model_channels": 192, "channel_mult": []any{1, 2, 3, 4}},
			"", "64×64 EDM teacher (ADM U-Net of EDM, 295.9 M parameters)"},
	} {
		a, err := architecture(pytorch.Object{Class: c.class, Kwargs: c.kwargs})
		if err != nil {
			t.Fatal(err)
		}
		shapes, err := (network.Config{EDM: &a}).Shapes()
		if err != nil {
			t.Fatal(err)
		}
		f := fileOf(shapesOf(shapes, "ema.model."))
		f.objects = map[string]pytorch.Object{
			"ema":       {Class: "EDMPrecond", Attributes: map[string]any{"sigma_data": 0.5}},
			"ema.model": {Class: c.class, Kwargs: c.kwargs},
		}
		n, err := f.Recognise(Options{})
		if err != nil {
			t.Errorf("%s: %v", c.is, err)
			continue
		}
		if n.Description.Preset != c.preset || n.Description.Stage != network.Teacher || n.String() != c.is {
			t.Errorf("%s, preset %q: taken for %s, %+v", c.is, c.preset, n, n.Description)
		}
		if c.preset == "" {
			continue
		}
		if _, err := f.Recognise(Options{Preset: c.preset, Stage: network.Teacher}); err != nil {
			t.Error(err)
		}
		f.objects["ema"] = pytorch.Object{Class: "VEPrecond"} // the same shapes, used otherwise
		_, err = f.Recognise(Options{Preset: c.preset})
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), " VE teacher ") || strings.Contains(err.Error(), "differs in") {
			t.Errorf("%s in another wrapper: %v", c.is, err)
		}
	}
}
