package golden

import (
	"fmt"
	"math"
)

// LPIPSWeights are weights by the formula, with its K = 0, for VGG-16 and for LPIPS's heads on it.
func LPIPSWeights() (vgg, heads *Weights) {
	vgg = &Weights{Net: "vgg16", Gain: 1.4, Shapes: map[string][]int{}}
	heads = &Weights{Net: "lpips_vgg", Gain: 1, Shapes: map[string][]int{}, Exception: func(_ string, u []float64) bool {
		for i := range u {
			u[i] = math.Abs(u[i])
		}
		return true
	}}
	in, layer := 3, 0
	for i, out := range []int{64, 128, 256, 512, 512} {
		for range []int{2, 2, 3, 3, 3}[i] {
			vgg.Shapes[fmt.Sprintf("features.%d.weight", layer)] = []int{out, in, 3, 3}
			vgg.Shapes[fmt.Sprintf("features.%d.bias", layer)] = []int{out}
			in, layer = out, layer+2
		}
		layer++
		heads.Shapes[fmt.Sprintf("lin%d.model.1.weight", i)] = []int{1, out, 1, 1}
	}
	return vgg, heads
}
