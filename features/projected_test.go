package features

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
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

// short are the networks' names in front of tensors and settings.
var short = map[string]string{deitName: "deit.", effnetName: "effnet."}

// formulaNet makes a projected network with the formula's weights. What a file
// does not say about them is that of the features_projected files.
func formulaNet(t *testing.T, f *golden.File, name string, asBuilt bool) *Projected {
	t.Helper()
	settings := f
	if f.Text("gain") == "" {
		settings = f.Sibling("features_projected*.safetensors")
	}
	var gains map[string]float64
	settings.Decode("gain", &gains)
	gain, ok := gains[name]
	if !ok {
		t.Fatalf("metadata gain has none of %s", name)
	}
	random := settings.Shapes(short[name] + "random_state_dict")
	width := func(i int) int { return random[fmt.Sprintf("scratch.layer%d_ccm.weight", i)][0] }

	own := nn.NewBlankParams(f.Scope)
	w := &golden.Weights{Net: name, Gain: gain, K: f.Int("formula_k")}
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
	p := &Projected{backbone, NewProjection(own.Root().At("scratch"), backbone.Channels(), width(0), width(1) != width(0))}
	if err := load(own, &golden.Weights{Net: name, Gain: settings.Number("scratch_gain"), K: w.K, Shapes: random}); err != nil {
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
		names := regexp.MustCompile(`names ([^\s,;)]+) and ([^\s,;)]+)`).FindStringSubmatch(f.Text("input"))
		if names == nil {
			t.Fatalf("metadata input is %q: no names", f.Text("input"))
		}
		for _, c := range []struct {
			prefix, net, image string
			asBuilt            bool
			slack              int // in which sizes of images round to the same maps
		}{
			{"effnet.clean.", effnetName, names[1], false, 4},
			{"effnet.as_built.", effnetName, names[1], true, 4},
			{"deit.", deitName, names[2], false, 1},
		} {
			net := formulaNet(t, f, c.net, c.asBuilt)
			mixed := func(x *torch.Tensor) []*torch.Tensor { // the image is normalised
				if d, ok := net.backbone.(*DeiT); ok {
					return net.mixing.Mix(f.Scope, d.maps(f.Scope, x))
				}
				return net.mixing.Mix(f.Scope, net.backbone.Maps(f.Scope, x))
			}
			size := f.Numbers(c.prefix + "out.0.shape")
			x := pictured(f, c.image, int(size[0]), 2*int(size[2]), 2*int(size[3]), c.slack, func(x *torch.Tensor) bool {
				return f.IsThinned(c.prefix+"out.0", mixed(x)[0], 1e-4)
			})
			for i, m := range mixed(x) {
				f.CompareThinned(fmt.Sprintf("%sout.%d", c.prefix, i), m, 1e-4)
			}
		}
	}, "features_projected")
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
		compared, stored := 0, 0
		for _, name := range f.Names() {
			if strings.HasSuffix(name, ".distance") {
				stored++
			}
			m := distanceCase.FindStringSubmatch(name)
			if m == nil {
				continue
			}
			compared++
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
					draws := f.Draws([]string{"in.aug.deit.", "in.aug.effnet."}[i]).First(k)
					return draws.Augment(s, x, func(x *torch.Tensor, d golden.Draws) *torch.Tensor {
						return gan.DiffAugment{}.Apply(s, x, gan.Draws(d))
					})
				}
			}
			f.Compare(name, NewProjectedMetric(networks[m[3]]...)(s, estimate, target, augment), 1e-4, 0)
			s.Close()
		}
		if compared == 0 || compared != stored {
			t.Errorf("%d of %d distances compared", compared, stored)
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
