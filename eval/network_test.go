package eval

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

func opened(t *testing.T, name, input string) Network {
	t.Helper()
	fatal(t, torch.Load())
	n, err := OpenNetwork(name, input, testdevice.Device())
	fatal(t, err)
	t.Cleanup(n.Close)
	return n
}

// answer shows uint8 images (n,3,size,size) to a network.
func answer(t *testing.T, n Network, pixels []uint8, count, size int) (out []float32) {
	t.Helper()
	var s shard
	p := &pass{net: n}
	fatal(t, p.answer(SourceInfo{C: len(pixels) / count / size / size, H: size, W: size}, pixels, count, &s))
	return s.features.Values
}

// A module that wants to be told answers with features, one that does its own scaling gets bytes.
func TestScriptOfBytes(t *testing.T) {
	n := opened(t, "testdata/told.pt", "")
	info := n.Info()
	if info.Dimensions != 12 || info.Channels != 3 || len(info.SHA256) != 64 || info.Name != "told.pt" || info.Note != "" {
		t.Errorf("%+v", info)
	}
	pixels := slices.Repeat([]uint8{0, 51, 102, 255}, 3)
	got := answer(t, n, pixels, 1, 2)
	for i, v := range pixels {
		if math.Abs(float64(got[i])-float64(v)/255) > 1e-6 {
			t.Errorf("feature %d is %v, want %v", i, got[i], float64(v)/255)
		}
	}
	name := writeArchive(t, make([]uint8, 10*3*8*8), 10, 3, 8)
	_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: n}, Samples: name, Real: name, Repeats: 1})
	wantError(t, err, "the real features contain NaN in row 0, dimension 0")
}

// A plain module gets 224×224 pixels, normalised.
func TestScriptOfImageNet(t *testing.T) {
	n := opened(t, "testdata/means.pt", InputImageNet)
	if n.Info().Dimensions != 4 {
		t.Errorf("%+v", n.Info())
	}
	pixels := slices.Concat(slices.Repeat([]uint8{255}, 16), slices.Repeat([]uint8{0}, 16), slices.Repeat([]uint8{51}, 16))
	want := []float64{(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225, 224}
	for i, v := range answer(t, n, pixels, 1, 4) {
		if math.Abs(float64(v)-want[i]) > 1e-4 {
			t.Errorf("feature %d is %v, want %v", i, v, want[i])
		}
	}
}

// The shipped classifier is as right on the test split as its file says.
func TestInDomain(t *testing.T) {
	if _, err := Open("fashion-mnist", Generation{}); errors.Is(err, data.ErrNotInstalled) {
		t.Skip(err)
	}
	const count = 1000
	n := opened(t, "in-domain", "")
	if info := n.Info(); info.Dimensions != 128 || info.Channels != 1 || len(info.Classes) != 10 || !strings.Contains(info.Note, "92.3 %") {
		t.Errorf("%+v", info)
	}
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: n}, Samples: "fashion-mnist", Real: writeArchive(t, noise(1, 30, 1, 32), 30, 1, 32), N: count, Repeats: 1})
	fatal(t, err)
	if a := r.Figure("accuracy").Mean; math.Abs(a-0.923) > 0.02 {
		t.Errorf("right on %v of %d images", a, count)
	}
}

func TestBadNetworks(t *testing.T) {
	fatal(t, torch.Load())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, c := range []struct{ name, input, part string }{
		{"dino", "", `no feature network "dino"`},
		{"inception", "", "run pagoda features fetch inception"},
		{"inception", "uint8", `no rule "uint8" for the input of Inception`},
		{"in-domain", InputImageNet, "it has one only"},
		{"inception_script", "", "run pagoda features fetch inception_script"},
		{"testdata/missing.pt", "", "no such file"},
		{"testdata/told.pt", "tensorflow", `no rule "tensorflow" for the input of a TorchScript module`},
		{"testdata/missing.safetensors", "", "no such file"},
		{modelFile(t), "", "holds no evaluator"},
	} {
		_, err := OpenNetwork(c.name, c.input, testdevice.Device())
		wantError(t, err, c.part)
	}
	install(t, "inception", "testdata/make.py")
	_, err := OpenNetwork("inception", "", testdevice.Device())
	wantError(t, err, "weights of Inception")
}

// install puts a file where the published weights of that name belong.
func install(t *testing.T, name, path string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	fatal(t, err)
	weights, err := fetch.Lookup(name)
	fatal(t, err)
	folder := filepath.Join(cache, "pagoda", "weights")
	fatal(t, os.MkdirAll(folder, 0o777))
	fatal(t, os.WriteFile(filepath.Join(folder, weights.File), []byte(readFile(t, path)), 0o666))
}

// saveWeights writes a network's weights by the formula as a file.
func saveWeights(t *testing.T, w *golden.Weights) string {
	t.Helper()
	tensors := map[string]checkpoint.Tensor{}
	for _, name := range w.Names() {
		tensor, err := w.Tensor(name)
		fatal(t, err)
		tensors[name] = tensor
	}
	path := filepath.Join(t.TempDir(), w.Net+".safetensors")
	fatal(t, checkpoint.Write(path, tensors, nil))
	return path
}

// What a pass gets from Inception is what the published evaluators get, from their bytes.
func TestGoldenInceptionNetwork(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	golden.Run(t, func(t *testing.T, f *golden.File) {
		install(t, "inception", saveWeights(t, &golden.Weights{
			Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict"),
			Exception: func(name string, u []float64) bool {
				if !strings.HasSuffix(name, ".bn.weight") {
					return false
				}
				for i := range u {
					u[i] = 1
				}
				return true
			},
		}))
		images := f.Tensor("in.uint8")
		info := SourceInfo{C: 3, H: images.Dim(2), W: images.Dim(3)}
		for at, input := range map[string]string{"pytorch_fid.": InputPyTorch, "tf.": ""} {
			var s shard
			p := &pass{net: opened(t, "inception", input)}
			if info := p.net.Info(); !info.fid || !strings.Contains(info.Note, "NOT the published weights") {
				t.Errorf("%+v", info)
			}
			fatal(t, p.answer(info, images.Uint8s(), images.Dim(0), &s))
			for name, got := range map[string][]float32{"pool3": s.features.Values, "spatial": s.spatial.Values, "logits_unbiased": s.logits.Values} {
				wide := make([]float64, len(got))
				for i, v := range got {
					wide[i] = float64(v)
				}
				f.CompareFloats(at+name, wide, 1e-4, 0)
			}
		}
	}, "fid_inception")
}

// LPIPS of bytes is that of the same images in [-1,1].
func TestLPIPS(t *testing.T) {
	fatal(t, torch.Load())
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	vgg, heads := golden.LPIPSWeights()
	net, err := features.LoadVGG16(s, vgg, features.VGG16Options{})
	fatal(t, err)
	direct, err := features.LoadLPIPS(s, net, heads)
	fatal(t, err)
	a, b := noise(1, 2, 1, 32), noise(2, 2, 1, 32)
	scaled := func(pixels []uint8) *torch.Tensor {
		x := s.Affine(s.To(s.FromBytes(pixels, torch.Uint8, 2, 1, 32, 32), torch.Float32), 1/127.5, -1)
		return s.Expand(x, 2, 3, 32, 32)
	}
	want := direct.Distance(s, scaled(a), scaled(b)).Float64s()

	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err = OpenLPIPS(testdevice.Device())
	wantError(t, err, "run pagoda features fetch vgg16")
	install(t, "vgg16", saveWeights(t, vgg))
	install(t, "lpips_vgg", saveWeights(t, heads))
	distance, err := OpenLPIPS(testdevice.Device())
	fatal(t, err)
	defer distance.Close()
	r, err := Reconstruct(t.Context(), writeArchive(t, a, 2, 1, 32), writeArchive(t, b, 2, 1, 32), ReconstructionOptions{Distance: distance})
	fatal(t, err)
	if last := r.Figures[len(r.Figures)-1]; last.Name != "LPIPS" || math.Abs(last.Mean-(want[0]+want[1])/2) > 1e-6*last.Mean || !strings.Contains(r.Protocol.Network.Note, "heads sha256 ") {
		t.Errorf("%+v, want the mean of %v", last, want)
	}
	install(t, "lpips_vgg", "testdata/make.py")
	_, err = OpenLPIPS(testdevice.Device())
	wantError(t, err, "LPIPS: ")
}
