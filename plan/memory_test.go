package plan

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// Each further image of a batch raises the peak of a training step's memory by what is planned.
func TestMemory(t *testing.T) {
	root := torch.NewScope(torch.CPU)
	defer root.Close()
	mult := []float64{1, 2, 3}
	a := network.Config{ADM: &unet.Config{
		InputSize: 64, Channels: 3, ModelChannels: 32, EncoderMult: mult, DecoderMult: mult, ResBlocks: 2, Attention: []int{2, 4},
		HeadChannels: 32, HeadOrder: unet.Flash, FiLM: true, ResBlockScale: true, Groups: 8,
	}}
	params := nn.NewParams(root, 1)
	net, err := network.New(params.Root(), a)
	if err != nil {
		t.Fatal(err)
	}
	peak := func(batch int) float64 {
		s := root.WithGrad()
		defer s.Close()
		s.Grad(s.Mean(diffusion.Generate(s, net, diffusion.Latents(s, 1, 0, batch, 3, 64, 64), nil)), params.Trainable())
		return highWater(t)
	}
	const few, more = 2, 6
	measured := -peak(few) + peak(more)
	size, err := measure(a, &config.Config{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	planned := training(size, "float32", more) - training(size, "float32", few)
	t.Logf("%.1f MB, %.1f MB planned", measured/1e6, planned/1e6)
	if math.Abs(measured/planned-1) > 1.0/3 {
		t.Errorf("%d more images take %.1f MB, %.1f MB were planned", more-few, measured/1e6, planned/1e6)
	}
}

// highWater is the most memory that the process has had, in bytes.
func highWater(t *testing.T) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, line, _ := strings.Cut(string(text), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(line, &kB); err != nil {
		t.Fatal(err)
	}
	return 1024 * kB
}
