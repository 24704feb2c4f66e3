package stage

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/optim"
	"github.com/pagoda-go/pagoda/torch"
)

// guard keeps gradients that are not finite from a training: such a step changes
// no weight and is counted. So are the weights of losses that reach their bounds.
type guard struct {
	updates, skipped int                      // since the last line of the log
	weights, clamped int                      // likewise
	inRow            map[*optim.Optimizer]int // skipped just now
	scale            *optim.LossScale         // in float16
}

// mostSkipped is the number of skipped updates of one optimiser in a row after which a training is given up.
const mostSkipped = 20

// newGuard is the guard of a training in the run's precision.
func (e *Env) newGuard() (g guard) {
	if e.Config.Precision == "float16" {
		g.scale = optim.NewLossScale()
	}
	return g
}

// lossScale multiplies the training's losses.
func (g *guard) lossScale() *optim.LossScale { return g.scale }

// update takes a step of an optimiser unless the gradients' norm, which it returns, is not finite.
func (g *guard) update(o *optim.Optimizer, gradients []*torch.Tensor, lr float64) float64 {
	norm := g.scale.Unscale(gradients)
	g.updates++
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		if g.inRow == nil {
			g.inRow = map[*optim.Optimizer]int{}
		}
		g.skipped++
		g.inRow[o]++
		return norm
	}
	delete(g.inRow, o)
	o.Step(gradients, lr)
	return norm
}

// err says that a training has come to nothing.
func (g *guard) err() error {
	most := 0
	for _, n := range g.inRow {
		most = max(most, n)
	}
	if most < mostSkipped {
		return nil
	}
	return fmt.Errorf("the gradients of the last %d updates were not finite", most)
}

// balanced counts a weight by which a loss was balanced.
func (g *guard) balanced(weight float64) {
	g.weights++
	if weight <= gan.LeastWeight || weight >= gan.MostWeight {
		g.clamped++
	}
}

// shares are the shares, since they were asked for last, of updates skipped and,
// if losses were balanced, of weights at their bounds.
func (g *guard) shares() map[string]float64 {
	shares := map[string]float64{"skipped": float64(g.skipped) / float64(max(g.updates, 1))}
	if g.weights > 0 {
		shares["clamped"] = float64(g.clamped) / float64(g.weights)
	}
	g.updates, g.skipped, g.weights, g.clamped = 0, 0, 0, 0
	return shares
}
