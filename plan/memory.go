package plan

// overhead is the peak of a training step's memory over what its gradients need:
// gradients in flight, and the allocator's gaps. TestMemory measures it.
const overhead = 1.5

// training is the memory of training a network with a batch: weights and their
// average, gradients and two moments of what trains, all float32, and the
// activations that the gradients need.
func training(n size, precision string, batch float64) float64 {
	element := 4.
	if precision == "bfloat16" {
		element = 2
	}
	return 8*float64(n.count) + 12*float64(n.trainedCount) + overhead*element*n.trained.Kept*batch
}

// inference is the memory of a network's weights.
func inference(n size) float64 { return 4 * float64(n.count) }
