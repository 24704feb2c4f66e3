package optim

import (
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// EMA is an exponential moving average of weights.
type EMA struct {
	target, source []*torch.Tensor
	Rate           float64 // share of the average kept at a step, e.g. 0.999
	WarmUp         float64 // the rate starts lower: at most (1+t)/(WarmUp+t) at step t; 0 for none
}

// NewEMA averages source into target, which starts as a copy.
func NewEMA(target, source []*torch.Tensor, rate, warmUp float64) *EMA {
	return &EMA{target, source, rate, warmUp}
}

// Update moves the average at step t, counted from 0: target = rate·target+(1-rate)·source.
func (e *EMA) Update(t int64) {
	rate := e.Rate
	if e.WarmUp > 0 {
		rate = math.Min(rate, (1+float64(t))/(e.WarmUp+float64(t)))
	}
	torch.Lerp(e.target, e.source, 1-rate)
}
