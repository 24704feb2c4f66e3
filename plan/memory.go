package plan

import (
	"strings"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/nn"
)

// overhead is the peak of a training step's memory over what its gradients need:
// gradients in flight, and the allocator's gaps; as measured, within a third.
const overhead = 1.5

// training is the memory of training a network with a batch: weights and their
// average, gradients and two moments of what trains, all float32, and the
// activations that the gradients need. Checkpointing keeps those between the
// blocks, and the others of one block at a time beside their gradients.
func training(n size, c *config.Config, batch float64) float64 {
	element, kept := 2., n.trained.Kept
	if c.Precision == "float32" {
		element = 4
	}
	if c.Network.Checkpointing {
		kept = n.between + 2*n.largest
	}
	return 8*float64(n.count) + 12*float64(n.trainedCount) + overhead*element*kept*batch
}

// blocks sums what each block keeps for the gradients: the inputs of all, with
// which each begins, and the whole of the largest.
func blocks(shapes *nn.Params, trains func(path string) bool) (inputs, largest float64) {
	kept := map[string]float64{}
	shapes.EachWork(func(path string, w nn.Work) {
		if !trains(path) {
			return
		}
		block := blockOf(path)
		if _, begun := kept[block]; !begun {
			inputs += w.Kept
		}
		kept[block] += w.Kept
		largest = max(largest, kept[block])
	})
	return inputs, largest
}

// blockOf is the start of a path that names the block: two elements, but for the
// one block in ADM's middle.
func blockOf(path string) string {
	first, rest, _ := strings.Cut(path, ".")
	if first == "middle_block" {
		return first
	}
	second, _, _ := strings.Cut(rest, ".")
	return first + "." + second
}

// inference is the memory of a network's weights.
func inference(n size) float64 { return 4 * float64(n.count) }
