package stage

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// watch guards a training against gradients that are not finite: such a step
// changes no weight and is counted. So are the weights of losses that reach their bounds.
type watch struct {
	updates, skipped int                      // since the last line of the log
	weights, clamped int                      // likewise
	inRow            map[*optim.Optimizer]int // skipped just now
	scale            *optim.LossScale         // in float16
}

// mostSkipped is the number of skipped updates of one optimiser in a row after which a training is given up.
const mostSkipped = 20

// newWatch is the watch of a training in the run's precision.
func (e *Env) newWatch() (w watch) {
	if e.Config.Precision == "float16" {
		w.scale = optim.NewLossScale()
	}
	return w
}

// lossScale multiplies the training's losses.
func (w *watch) lossScale() *optim.LossScale { return w.scale }

// update takes a step of an optimiser unless the gradients' norm, which it returns, is not finite.
func (w *watch) update(o *optim.Optimizer, gradients []*torch.Tensor, lr float64) float64 {
	norm := w.scale.Unscale(gradients)
	w.updates++
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		if w.inRow == nil {
			w.inRow = map[*optim.Optimizer]int{}
		}
		w.skipped++
		w.inRow[o]++
		return norm
	}
	delete(w.inRow, o)
	o.Step(gradients, lr)
	return norm
}

// err says that a training has come to nothing.
func (w *watch) err() error {
	most := 0
	for _, n := range w.inRow {
		most = max(most, n)
	}
	if most < mostSkipped {
		return nil
	}
	return fmt.Errorf("the gradients of the last %d updates were not finite", most)
}

// balanced counts a weight by which a loss was balanced.
func (w *watch) balanced(weight float64) {
	w.weights++
	if weight <= gan.LeastWeight || weight >= gan.MostWeight {
		w.clamped++
	}
}

// shares are the shares, since they were asked for last, of updates skipped and,
// if losses were balanced, of weights at their bounds.
func (w *watch) shares() map[string]float64 {
	shares := map[string]float64{"skipped": float64(w.skipped) / float64(max(w.updates, 1))}
	if w.weights > 0 {
		shares["clamped"] = float64(w.clamped) / float64(w.weights)
	}
	w.updates, w.skipped, w.weights, w.clamped = 0, 0, 0, 0
	return shares
}
