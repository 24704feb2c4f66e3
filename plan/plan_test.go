package plan

import (
	"math"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// The heads on the maps of a pretrained network take the work that is planned.
func TestHeadsOfPretrainedNetworks(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	channels := []int{64, 64, 128, 256}
	d := gan.NewMultiScaleD(nn.NewParams(root, 1).Root(), channels, []int{128, 64, 32, 16}, gan.HeadConfig{Classes: 10, EmbedDim: 320})
	flops := 0.
	s := root.CountFLOPs(&flops)
	defer s.Close()
	var maps []*torch.Tensor
	for i, c := range channels {
		maps = append(maps, s.Zeros(1, c, 112>>i, 112>>i))
	}
	d.Logits(s, maps, []int64{3}, false)
	if want := multiScale(channels, 112, 128); math.Abs(flops/want-1) > 0.01 {
		t.Errorf("%.4g operations, %.4g planned", flops, want)
	}
}

// The backbones' work at other sizes than those that it was fitted at is what the engine counts.
func TestPretrainedFeatures(t *testing.T) {
	for side, counted := range map[int]float64{224: 3.65983e10 + 8.36857e8, 256: 4.8264e10 + 1.09304e9, 512: 2.21027e11 + 4.37215e9} {
		if got := efficientNet(side) + deit(side); math.Abs(got/counted-1) > 1e-3 {
			t.Errorf("%d pixels: %.5g operations, counted were %.5g", side, got, counted)
		}
	}
}

func TestBatchAndGrowth(t *testing.T) {
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	own, err := Of(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	large, err := Of(c, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(own) != 3+len(c.Grow) || own[0].Batch != c.Teacher.Batch || own[1].Images != 2*int64(c.Invert.Images) {
		t.Errorf("%+v", own)
	}
	for i, s := range own {
		switch last := own[max(i-1, 0)]; {
		case large[i].Batch != 1000 || large[i].FLOPs != s.FLOPs:
			t.Errorf("%+v at a batch of 1000", large[i])
		case s.Trained > 0 && large[i].Memory <= s.Memory:
			t.Errorf("%s: %g bytes at a batch of 1000, %g at %d", s.Name, large[i].Memory, s.Memory, s.Batch)
		case i > 2 && (s.Parameters <= last.Parameters || s.Trained >= s.Parameters):
			t.Errorf("%s trains %d of %d parameters, the stage below has %d", s.Name, s.Trained, s.Parameters, last.Parameters)
		}
	}
	base, err := TeacherFLOPs(c, 8)
	if err != nil {
		t.Fatal(err)
	}
	full, err := TeacherFLOPs(c, 32)
	if err != nil {
		t.Fatal(err)
	}
	if base != own[0].FLOPs || full < 16*base || full > 18*base {
		t.Errorf("a teacher at 8 pixels takes %g, at 32 pixels %g", base, full)
	}
}

func TestByName(t *testing.T) {
	for _, name := range []string{"a100", "RTX 4090", "rtx4090"} {
		if _, err := ByName(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := ByName("H10"); err == nil || !strings.Contains(err.Error(), `"H100"`) {
		t.Error(err)
	}
	// EDM's ImageNet-64 teacher, as published.
	if share := 3 * 219.3e9 * 2.5e9 / (32 * 13 * 86400) / 312e12; math.Abs(share-Utilisation) > 0.005 {
		t.Errorf("%.3f of the peak, not %.3f", share, Utilisation)
	}
}
