package features

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// leaf reads a tensor whose gradient will be asked for.
func leaf(f *golden.File, name string) *torch.Tensor {
	x := f.Tensor(name)
	x.RequireGrad(true)
	return x
}

func TestGoldenDistance(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		s := f.Scope.WithGrad()
		defer s.Close()
		var names []string
		var estimate, target []*torch.Tensor
		for _, name := range f.Names() {
			if rest, ok := strings.CutPrefix(name, "in.est."); ok {
				names = append(names, "grad.mean_distance.est."+rest)
				estimate = append(estimate, leaf(f, name))
				target = append(target, f.Tensor("in.target."+rest))
			}
		}
		if len(names) == 0 {
			t.Fatal("no in.est.* in the file")
		}
		d := Distance(s, estimate, target)
		f.Compare("out.distance", d, 1e-4, 0)
		for i, g := range s.Grad(s.Mean(d), estimate) {
			f.Compare(names[i], g, 1e-4, 0)
		}
	}, "loss_perceptual")
}

func TestGoldenProjection(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		c := struct {
			Channels []int `json:"in_channels"`
			Width    int   `json:"cout"`
			Expand   bool  `json:"expand"`
			Type     int   `json:"proj_type"`
		}{Width: 64, Expand: true, Type: 2}
		if f.Decode("config", &c); c.Type != 2 {
			t.Fatalf("proj_type is %d: of the others the file has a part, not the weights", c.Type)
		}
		params := nn.NewParams(f.Scope, 0)
		m := NewProjection(params.Root(), c.Channels, c.Width, c.Expand)
		f.Load(params, "param.")
		s := f.Scope.WithGrad()
		defer s.Close()
		var maps, outputs, sum, leaves []*torch.Tensor
		for i := range c.Channels {
			maps = append(maps, leaf(f, fmt.Sprintf("in.feat.%d", i)))
		}
		leaves = append(leaves, maps...)
		for _, p := range params.Tensors() {
			p.RequireGrad(true)
			leaves = append(leaves, p)
		}
		outputs = m.Mix(s, maps)
		for i, y := range outputs {
			if y.Dim(1) != m.Channels()[i] {
				t.Errorf("map %d has %d channels, Channels says %d", i, y.Dim(1), m.Channels()[i])
			}
			f.Compare(fmt.Sprintf("out.%d", i), y, 1e-4, 0)
			sum = append(sum, s.Reshape(s.Mul(y, f.Tensor(fmt.Sprintf("in.cotangent.%d", i))), -1))
		}
		for i, y := range m.MixChannels(s, maps) {
			f.Compare(fmt.Sprintf("out.proj_type1.%d", i), y, 1e-4, 0)
		}
		grads := s.Grad(s.Sum(s.Cat(0, sum...)), leaves)
		for i := range maps {
			f.Compare(fmt.Sprintf("grad.in.feat.%d", i), grads[i], 1e-4, 0)
		}
		f.CompareGradients("", ".param.", params.Names(), grads[len(maps):], 1e-4)
	}, "projector")
}

func TestGoldenFusion(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		cases := 0
		for _, name := range f.Names() {
			prefix, ok := strings.CutSuffix(name, "param.out_conv.weight")
			if !ok || strings.HasSuffix(prefix, "grad.") {
				continue
			}
			cases++
			shape := f.Tensor(name).Shape()
			params := nn.NewParams(f.Scope, 0)
			block := newFusion(params.Root(), shape[1], shape[0])
			f.Load(params, prefix+"param.")
			s := f.Scope.WithGrad()
			leaves := params.Tensors()
			for _, p := range leaves {
				p.RequireGrad(true)
			}
			x := leaf(f, prefix+"in.x0")
			var y *torch.Tensor
			leaves = append(leaves, x)
			if f.Has(prefix + "in.x1") {
				y = leaf(f, prefix+"in.x1")
				leaves = append(leaves, y)
			}
			out := block.forward(s, x, y)
			f.Compare(prefix+"out.y", out, 1e-4, 0)
			grads := s.VJP(out, f.Tensor(prefix+"in.cotangent"), leaves)
			f.CompareGradients(prefix, ".param.", params.Names(), grads[:2], 1e-4)
			for i, g := range grads[2:] {
				f.Compare(fmt.Sprintf("%sgrad.in.x%d", prefix, i), g, 1e-4, 0)
			}
			s.Close()
		}
		if cases == 0 {
			t.Error("no *param.out_conv.weight in the file")
		}
	}, "feature_fusion")
}

// The paper's mixing, which the golden files' settings need not be.
func TestProjectedIsThePapers(t *testing.T) {
	s := newScope(t)
	if got := NewProjected(nn.NewBlankParams(s).Root(), NewEfficientNet(nn.NewBlankParams(s).Root())).Channels(); !slices.Equal(got, []int{64, 64, 128, 256}) {
		t.Errorf("channels are %v", got)
	}
}
