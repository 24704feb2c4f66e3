package stage

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// watch guards a training against gradients that are not finite: such a step
// changes no weight and is counted.
type watch struct {
	updates, skipped int // since the last line of the log
	inRow            int // skipped just now
}

// mostSkipped is the number of skipped updates in a row after which a training is given up.
const mostSkipped = 20

// update takes a step of an optimiser unless the gradients' norm, which it returns, is not finite.
func (w *watch) update(o *optim.Optimizer, gradients []*torch.Tensor, lr float64) float64 {
	norm := torch.Norm(gradients)
	w.updates++
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		w.skipped++
		w.inRow++
		return norm
	}
	w.inRow = 0
	o.Step(gradients, lr)
	return norm
}

// err says that a training has come to nothing.
func (w *watch) err() error {
	if w.inRow < mostSkipped {
		return nil
	}
	return fmt.Errorf("the gradients of the last %d updates were not finite", w.inRow)
}

// share is the share of updates skipped since it was asked for last.
func (w *watch) share() float64 {
	share := float64(w.skipped) / float64(max(w.updates, 1))
	w.updates, w.skipped = 0, 0
	return share
}
