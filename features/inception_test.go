package features

import (
	"regexp"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

// inceptionBlocks are the outputs that pytorch-fid calls blocks, by their index among those of the network.
var inceptionBlocks = map[string]int{"block0": 0, "block1": 1, "block2": 2 + mixed6d + 1}

func TestGoldenInception(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		w := &golden.Weights{
			Net: f.Text("net"), Gain: f.Number("gain"), K: f.Int("formula_k"), Shapes: f.Shapes("state_dict"),
			Exception: func(name string, u []float64) bool {
				exact := strings.HasSuffix(name, ".bn.weight")
				for i := range u {
					if exact {
						u[i] = 1
					}
				}
				return exact
			},
		}
		n, err := LoadInception(f.Scope, w)
		if err != nil {
			t.Fatal(err)
		}
		s := f.Scope
		bytes := f.Tensor("in.uint8")
		for at, input := range map[string]InceptionInput{"pytorch_fid.": InceptionPyTorch, "tf.": InceptionTensorFlow} {
			x := input.Prepare(s, bytes)
			f.CompareThinned(at+"network_input", x, 1e-4)
			outputs := n.outputs(s, x)
			for name, i := range inceptionBlocks {
				f.CompareThinned(at+name, outputs[i], 1e-4)
			}
			o := n.Forward(s, x)
			f.Compare(at+"pool3", o.Features, 1e-4, 0)
			f.Compare(at+"spatial", o.Spatial, 1e-4, 0)
			f.Compare(at+"logits", o.Logits, 1e-4, 0)
			f.Compare(at+"logits_unbiased", o.Unbiased, 1e-4, 0)
		}
		scaled := s.Affine(s.To(bytes, torch.Float32), 1/127.5, -1)
		o := n.Forward(s, InceptionUnrounded.Prepare(s, scaled))
		f.Compare("tf.adm_port.pool3", o.Features, 1e-4, 0)
		f.Compare("tf.adm_port.probs_unbiased", s.Softmax(o.Unbiased, 1), 1e-4, 0)

		shape := f.Numbers("resize.in")
		name := regexp.MustCompile(`image formula '([^']+)'`).FindStringSubmatch(f.Text("resize.note"))
		if len(shape) != 4 || name == nil {
			t.Fatalf("no formula of the image to resize in %q, %q", f.Text("resize.in"), f.Text("resize.note"))
		}
		image := f.Image(name[1], int(shape[0]), int(shape[1]), int(shape[2]), int(shape[3]))
		big := s.To(s.To(s.Clamp(s.Affine(image, 128, 128), 0, 255), torch.Uint8), torch.Float32)
		f.CompareThinned("resize.half_pixel", s.Affine(InceptionPyTorch.Prepare(s, big), 127.5, 127.5), 1e-4)
		f.CompareThinned("resize.tf1", s.Affine(InceptionTensorFlow.Prepare(s, big), 128, 128), 1e-4)
	}, "fid_inception")
}
