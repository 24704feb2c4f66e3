package features

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

const (
	deitName   = "deit_base_distilled_patch16_224"
	effnetName = "tf_efficientnet_lite0"
)

// formulaNet makes a projected network with the formula's weights.
func formulaNet(t *testing.T, f *golden.File, name string, asBuilt bool) *Projected {
	t.Helper()
	gains, scratch := map[string]float64{deitName: 1, effnetName: 1.5}, 1.
	if f.Text("gain") != "" {
		scratch = f.Number("scratch_gain")
		if err := json.Unmarshal([]byte(f.Text("gain")), &gains); err != nil {
			t.Fatal(err)
		}
	}
	own := nn.NewBlankParams(f.Scope)
	w := &golden.Weights{Net: name, Gain: gains[name], K: f.Int("formula_k")}
	var backbone Network
	if name == deitName {
		w.Shapes = shapes(func(p nn.Path) { NewViT(p, DeiTBase) })
		encoder, err := LoadDeiT(f.Scope, w)
		if err != nil {
			t.Fatal(err)
		}
		backbone = NewDeiT(own.Root().At("pretrained"), encoder)
	} else {
		w.Shapes = shapes(func(p nn.Path) { NewEfficientNet(p) })
		e, err := LoadEfficientNet(f.Scope, w, EfficientNetOptions{AsBuilt: asBuilt})
		if err != nil {
			t.Fatal(err)
		}
		backbone = e
	}
	p := NewProjected(own.Root().At("scratch"), backbone)
	if err := load(own, &golden.Weights{Net: name, Gain: scratch, K: w.K, Shapes: golden.Shapes(own)}); err != nil {
		t.Fatal(err)
	}
	return p
}

// shapes are those of the tensors that a network makes.
func shapes(make func(p nn.Path)) map[string][]int {
	params := nn.NewShapes()
	make(params.Root())
	return golden.Shapes(params)
}

func TestGoldenProjected(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		names := regexp.MustCompile(`names (\w+) and (\w+)`).FindStringSubmatch(f.Text("input"))[1:]
		for i, c := range []struct {
			prefix, net string
			asBuilt     bool
		}{
			{"effnet.clean.", effnetName, false},
			{"effnet.as_built.", effnetName, true},
			{"deit.", deitName, false},
		} {
			size := f.Numbers(c.prefix + "out.0.shape")
			x := f.Image(names[i/2], int(size[0]), 3, 2*int(size[2]), 2*int(size[3]))
			net := formulaNet(t, f, c.net, c.asBuilt)
			maps := net.backbone.Maps
			if d, ok := net.backbone.(*DeiT); ok {
				maps = d.maps // the image is normalised
			}
			for i, m := range net.mixing.Mix(f.Scope, maps(f.Scope, x)) {
				f.CompareThinned(fmt.Sprintf("%sout.%d", c.prefix, i), m, 1e-4)
			}
		}
	}, "features_projected")
}

// drawn reads the recorded draws of one network for the first n images.
func drawn(f *golden.File, prefix string, n int) gan.Draws {
	floats := func(name string) []float32 { return f.Floats(prefix + name)[:n] }
	pairs := func(name string) (out [][2]int) {
		x, y := f.Ints(prefix+name+"_x"), f.Ints(prefix+name+"_y")
		for i := range n {
			out = append(out, [2]int{int(x[i]), int(y[i])})
		}
		return out
	}
	return gan.Draws{
		Brightness: floats("brightness"), Saturation: floats("saturation"), Contrast: floats("contrast"),
		Translation: pairs("translation"), Cutout: pairs("offset"),
	}
}

// distanceCase is out.<augmentation>.<statistics>[.<case>].distance.
var distanceCase = regexp.MustCompile(`^out\.(noaug|aug(?:_prob([\d.]+))?)\.(clean|as_built)(?:\.(\w+))?\.distance$`)

func TestGoldenImageDistance(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		deit := formulaNet(t, f, deitName, false)
		networks := map[string][]Network{
			"clean":    {deit, formulaNet(t, f, effnetName, false)},
			"as_built": {deit, formulaNet(t, f, effnetName, true)},
		}
		for _, name := range f.Names() {
			m := distanceCase.FindStringSubmatch(name)
			if m == nil {
				continue
			}
			s := f.Scope.Child()
			estimate, target := f.Tensor("in.estimate"), f.Tensor("in.target")
			switch {
			case m[4] == "same":
				estimate = target
			case m[4] != "":
				estimate, target = mixed(t, f, f.Text(m[4]))
			}
			var augment func(i int, x *torch.Tensor) *torch.Tensor
			if m[1] != "noaug" {
				n := estimate.Dim(0)
				k := n
				if share, err := strconv.ParseFloat(m[2], 64); err == nil {
					k = int(share * float64(n))
				}
				augment = func(i int, x *torch.Tensor) *torch.Tensor {
					draws := drawn(f, []string{"in.aug.deit.", "in.aug.effnet."}[i], k)
					return s.Cat(0, gan.DiffAugment{}.Apply(s, s.Narrow(x, 0, 0, k), draws), s.Narrow(x, 0, k, n-k))
				}
			}
			f.Compare(name, NewProjectedMetric(networks[m[3]]...)(s, estimate, target, augment), 1e-4, 0)
			s.Close()
		}
		checkMaps(t, f, networks["as_built"])
	}, "cnn_vit_distance")
}

// mixed are the images of a case that the metadata describe as "… NxCxHxW (image
// formula names TARGET, OTHER; estimate = A target + B other) …".
func mixed(t *testing.T, f *golden.File, text string) (estimate, target *torch.Tensor) {
	t.Helper()
	m := regexp.MustCompile(`(\d+)x(\d+)x(\d+)x(\d+) \(image formula names ([^,]+), ([^;]+); estimate = (\S+) target \+ (\S+) other`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%q describes no images", text)
	}
	number := func(i int) float64 {
		v, err := strconv.ParseFloat(m[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	image := func(name string) *torch.Tensor {
		return f.Image(name, int(number(1)), int(number(2)), int(number(3)), int(number(4)))
	}
	target = image(m[5])
	return f.Scope.Add(f.Scope.Scale(target, number(7)), f.Scope.Scale(image(m[6]), number(8))), target
}

// checkMaps compares the distance map by map and the gradients without augmentation.
func checkMaps(t *testing.T, f *golden.File, networks []Network) {
	s := f.Scope.WithGrad()
	defer s.Close()
	x, target := leaf(f, "in.estimate"), f.Tensor("in.target")
	f.CompareThinned("out.get_feature_input.deit", imageNet(s, Seen(s, target)), 1e-4)
	f.CompareThinned("out.get_feature_input.effnet", Seen(s, target), 1e-4)
	var perMap []*torch.Tensor
	var sum []float64
	for i, name := range []string{"deit", "effnet"} {
		estimates, targets := networks[i].Maps(s, x), networks[i].Maps(s, target)
		var distances []*torch.Tensor
		for j := range estimates {
			distances = append(distances, s.Reshape(Distance(s, estimates[j:j+1], targets[j:j+1]), -1, 1))
		}
		all := s.Cat(1, distances...)
		perMap = append(perMap, all)
		name = "grad.noaug." + name + ".in.estimate"
		g := s.Grad(s.Sum(all), []*torch.Tensor{x})[0]
		if i == 0 {
			f.Compare(name, g, 2e-5, 0)
		} else {
			compareNorm(t, f, name, g.Float64s())
		}
		for j, v := range g.Float64s() {
			if i == 0 {
				sum = append(sum, v)
			} else {
				sum[j] += v
			}
		}
	}
	f.Compare("out.noaug.as_built.per_map", s.Cat(1, perMap...), 1e-4, 0)
	compareNorm(t, f, "grad.noaug.in.estimate", sum)
}

// compareNorm compares in Euclidean norm: the kinks of ReLU6 make single values jump.
func compareNorm(t *testing.T, f *golden.File, name string, got []float64) {
	t.Helper()
	difference, size := 0., 0.
	for i, v := range f.Tensor(name).Float64s() {
		difference += (got[i] - v) * (got[i] - v)
		size += v * v
	}
	if off := math.Sqrt(difference / size); !(off < 2e-2) {
		t.Errorf("%s: off by %.3g in Euclidean norm", name, off)
	}
}
