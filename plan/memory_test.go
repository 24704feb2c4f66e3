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

// Each further image of a batch raises the peak of a training step's memory by
// what is planned, with and without checkpointing.
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
	peak := func(batch float64) float64 {
		s := root.WithGrad()
		defer s.Close()
		s.Grad(s.Mean(diffusion.Generate(s, net, diffusion.Latents(s, 1, 0, int(batch), 3, 64, 64), nil)), params.Trainable())
		return highWater(t)
	}
	c := &config.Config{Precision: "float32"}
	size, err := measure(a, c, 0)
	if err != nil {
		t.Fatal(err)
	}
	few, more := 3., 8.
	for _, checkpointing := range []bool{true, false} { // what takes less comes first: the peak does not fall
		c.Network.Checkpointing = checkpointing
		network.Recompute(net, checkpointing)
		measured := -peak(few) + peak(more)
		planned := training(size, c, more) - training(size, c, few)
		t.Logf("%.1f MB, %.1f MB planned", measured/1e6, planned/1e6)
		if math.Abs(measured/planned-1) > 1.0/3 {
			t.Errorf("checkpointing %t: %g more images take %.1f MB, %.1f MB were planned", checkpointing, more-few, measured/1e6, planned/1e6)
		}
		few, more = 5, 9
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
