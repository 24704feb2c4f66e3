package network

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// small has a network of every kind.
func small() map[string]Config {
	song := edm.Config{
		Architecture: edm.SongUNet, Resolution: 8, Channels: 3, LabelDim: 3, ModelChannels: 8, ChannelMult: []int{1, 2},
		EmbedMult: 4, Blocks: 1, Attention: []int{4}, NoiseMult: 1, ResampleFilter: []float64{1, 1},
	}
	ncsn := song
	ncsn.Fourier, ncsn.NoiseMult, ncsn.ResidualEncoder, ncsn.ResampleFilter, ncsn.LabelDim = true, 2, true, []float64{1, 3, 3, 1}, 0
	dhariwal := song
	dhariwal.Architecture, dhariwal.HeadChannels = edm.DhariwalUNet, 8
	return map[string]Config{
		"adm": {ADM: &unet.Config{
			InputSize: 8, Channels: 3, ModelChannels: 16, EncoderMult: []float64{1, 2}, DecoderMult: []float64{1, 1, 2}, ResBlocks: 1,
			Attention: []int{2}, HeadChannels: 16, HeadOrder: unet.Flash, Classes: 3, FiLM: true, ResBlockScale: true, Groups: 8,
			ModelChannelsHigh: 16, ResBlocksHigh: 2,
		}},
		"ddpm++": {EDM: &song}, "ncsn++": {EDM: &ncsn}, "dhariwal": {EDM: &dhariwal},
	}
}

func TestConfigSurvivesJSON(t *testing.T) {
	for name, c := range small() {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Config
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(c, back) {
			t.Errorf("%s: %v, %+v from %s", name, err, back, text)
		}
	}
	var c Config
	if err := json.Unmarshal([]byte(`{"kind": "dit"}`), &c); err == nil || !strings.Contains(err.Error(), `"dit"`) {
		t.Error(err)
	}
	if err := c.Validate(); err == nil {
		t.Error("a description of nothing is valid")
	}
}

// Files from before there was a kind are ADM's.
func TestShippedModelIsReadable(t *testing.T) {
	f, err := checkpoint.Parse(models.FashionMNIST)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	if c := d.Architecture; c.ADM == nil || c.OutputSize() != 32 || c.InputSize() != 8 || c.Channels() != 1 || c.Classes() != 10 {
		t.Errorf("%+v", c)
	}
}

// What is saved comes back: description, weights, and the same outputs; and
// shapes alone agree with tensors.
func TestSaveAndLoad(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	z := diffusion.Latents(root, 1, 0, 2, 3, 8, 8)
	for name, c := range small() {
		params := nn.NewParams(root, 1)
		net, err := New(params.Root(), c)
		if err != nil {
			t.Fatal(err)
		}
		scramble(root, params)
		params.Freeze()
		shapes, err := c.Shapes()
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(shapes.Names(), params.Names()) || c.Parameters() != params.Count() {
			t.Errorf("%s: %d parameters by shapes, %d by tensors", name, c.Parameters(), params.Count())
		}
		for _, n := range params.Names() {
			if !reflect.DeepEqual(params.Tensor(n).Shape(), shapes.Shape(n)) {
				t.Errorf("%s: %s is %v, its shape %v", name, n, params.Tensor(n).Shape(), shapes.Shape(n))
			}
		}

		path := filepath.Join(t.TempDir(), "net.safetensors")
		d := Description{
			Stage: Teacher, Preset: "test", Architecture: c, ClassNames: []string{"a", "b", "c"}, ImagesSeen: 5,
			Provenance: &Provenance{File: "x.pkl", SHA256: "00", Format: "pickle"},
		}
		if err := Save(path, params, d); err != nil {
			t.Fatal(err)
		}
		f, err := checkpoint.OpenVerified(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if text, want := f.Metadata()["pagoda"], fmt.Sprintf(`"resolution":%d}`, c.OutputSize()); !strings.HasSuffix(text, want) {
			t.Errorf("%s: no %s in %s", name, want, text)
		}
		loaded, err := Load(root, f)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(loaded.Description, d) {
			t.Errorf("%s: %+v, saved %+v", name, loaded.Description, d)
		}
		classes := []int64{0, 2}
		want := diffusion.Generate(root, net, z, c.Labels(classes)).Float32s()
		if got := loaded.Generate(root, z, classes).Float32s(); !reflect.DeepEqual(got, want) || want[0] == 0 {
			t.Errorf("%s: other outputs after loading", name)
		}
		if c.OutputSize() != c.InputSize() {
			continue // a grown network denoises nothing
		}
		want = diffusion.Denoise(net, c.Labels(classes))(root, z, []float32{1, 2}).Float32s()
		if got := loaded.Denoiser(classes)(root, z, []float32{1, 2}).Float32s(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: another denoiser after loading", name)
		}
	}
}

// scramble gives every kernel values, those that start at zero too.
func scramble(s *torch.Scope, params *nn.Params) {
	for i, p := range params.Tensors() {
		if len(p.Shape()) > 1 {
			p.Copy(nn.NewParams(s, uint64(i)).Root().NormalBuffer("noise", 0.1, p.Shape()...))
		}
	}
}

// A network of another preconditioning sees noise levels, and is seen, in its own way.
func TestPreconditioning(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	c := small()["ddpm++"]
	load := func(c Config, p Preconditioning) (*Network, error) {
		params := nn.NewParams(root, 1)
		if _, err := New(params.Root(), c); err != nil {
			t.Fatal(err)
		}
		scramble(root, params)
		path := filepath.Join(t.TempDir(), "net.safetensors")
		if err := Save(path, params, Description{Stage: Teacher, Architecture: c, Preconditioning: p}); err != nil {
			t.Fatal(err)
		}
		f, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return Load(root, f)
	}
	n, err := load(c, Preconditioning{Form: VP, BetaD: 19.9, BetaMin: 0.1, Levels: 1000})
	if err != nil {
		t.Fatal(err)
	}
	x := diffusion.Normal(root, 1, 0, 1, 3, 8, 8)
	w := diffusion.VPPrecond{BetaD: 19.9, BetaMin: 0.1, Levels: 1000}
	class := root.FromFloat32([]float32{0, 1, 0}, 1, 3)
	raw := n.Network.(edm.Network).UNet.Forward(root, root.Scale(x, w.CIn(3)), []float32{w.NoiseArgument(3)}, class, nil)
	want := root.Add(x, root.Scale(raw, -3)).Float32s()
	for i, v := range n.Denoiser([]int64{1})(root, x, []float32{3}).Float32s() {
		if d := v - want[i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("%g, not %g", v, want[i])
		}
	}
	adm, err := load(Config{ADM: square(small()["adm"].ADM)}, Preconditioning{Form: IDDPM, Schedule: "cosine", Levels: 1000})
	if err != nil {
		t.Fatal(err)
	}
	u := adm.Network.(*unet.UNet)
	if got, want := u.Argument(3), diffusion.NewIDDPMPrecond("cosine", 1000).NoiseArgument(3); got != want {
		t.Errorf("ADM sees %g, not %g", got, want)
	}
	for want, load := range map[string]func() (*Network, error){
		"score":  func() (*Network, error) { return load(c, Preconditioning{Form: "score"}) },
		"sine":   func() (*Network, error) { return load(c, Preconditioning{Form: IDDPM, Schedule: "sine", Levels: 1000}) },
		"1 time": func() (*Network, error) { return load(c, Preconditioning{Form: IDDPM, Schedule: "linear", Levels: 1}) },
	} {
		if _, err := load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a mention of %s", err, want)
		}
	}
}

// square is a network without its growth.
func square(c *unet.Config) *unet.Config {
	c.DecoderMult = c.EncoderMult
	return c
}

// A description that claims more than the file holds is an error before memory is taken.
func TestClaimsAreChecked(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	c := *small()["adm"].ADM
	params := nn.NewParams(root, 1)
	if _, err := New(params.Root(), Config{ADM: &c}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.safetensors")
	c.ModelChannels = 1 << 15
	if err := Save(path, params, Description{Stage: Teacher, Architecture: Config{ADM: &c}}); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := torch.LiveTensors()
	if _, err := Load(root, f); err == nil || !strings.Contains(err.Error(), "mis-shaped") || torch.LiveTensors() != before {
		t.Errorf("%v, %d tensors more", err, torch.LiveTensors()-before)
	}
}
