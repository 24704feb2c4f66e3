package metrics

import (
	"fmt"
	"math"
)

// InceptionScore is exp of the mean divergence between the class probabilities
// of an image and those of all images (Salimans et al. 2016), from 1 to the
// number of classes D: the mean over consecutive splits of splitSize images
// (5000 in the literature; the last may be shorter), and the standard deviation
// over splits. It takes logits: of FID's Inception all 1008 without bias.
// Probabilities may be given as their logarithms. As compute_inception_score of
// guided-diffusion's evaluations/evaluator.py.
func InceptionScore(logits Features, splitSize int) (mean, deviation float64, err error) {
	if err := logits.check("the logits", 1); err != nil {
		return 0, 0, err
	}
	if splitSize < 1 {
		return 0, 0, fmt.Errorf("metrics: inception score over splits of %d images", splitSize)
	}
	var scores []float64
	for start := 0; start < logits.N; start += splitSize {
		scores = append(scores, splitScore(logits, start, min(start+splitSize, logits.N)))
	}
	mean = Mean(scores)
	for _, v := range scores {
		deviation += (v - mean) * (v - mean) / float64(len(scores))
	}
	return mean, math.Sqrt(deviation), nil
}

// splitScore is the score of images [from, to): exp of the entropy of the mean
// probabilities less the mean entropy.
func splitScore(logits Features, from, to int) float64 {
	n := float64(to - from)
	marginal := make([]float64, logits.D)
	negentropy := 0.
	logs := make([]float64, logits.D)
	for i := from; i < to; i++ {
		logSoftmax(logs, logits.Row(i))
		for c, l := range logs {
			p := math.Exp(l)
			marginal[c] += p / n
			negentropy += p * l / n
		}
	}
	for _, p := range marginal {
		if p > 0 {
			negentropy -= p * math.Log(p)
		}
	}
	return math.Exp(negentropy)
}

func logSoftmax(out []float64, logits []float32) {
	top := math.Inf(-1)
	for _, l := range logits {
		top = max(top, float64(l))
	}
	sum := 0.
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	for c, l := range logits {
		out[c] = float64(l) - top - math.Log(sum)
	}
}
