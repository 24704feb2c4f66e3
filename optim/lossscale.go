package optim

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/torch"
)

// LossScale is what losses are multiplied by in float16, whose smallest numbers
// are larger than many gradients: 2^20, a thousandth of a power of two more after
// a step whose gradients are finite, a whole one less after others (openai/guided-diffusion,
// fp16_util.py). A nil LossScale is a scale of 1 that stays.
type LossScale struct {
	thousandths int64 // of a power of two
	overflown   bool  // by gradients of this step
}

// NewLossScale returns the scale that training starts with.
func NewLossScale() *LossScale { return &LossScale{thousandths: 20_000} }

// Factor is the scale of the losses now.
func (l *LossScale) Factor() float64 {
	if l == nil {
		return 1
	}
	return math.Exp2(float64(l.thousandths) / 1000)
}

// Unscale turns gradients of scaled losses into those of the losses, in place.
// It returns the norm of all gradients together; when that is not finite, they
// are of no use.
func (l *LossScale) Unscale(grads []*torch.Tensor) (norm float64) {
	if l == nil {
		return torch.Norm(grads)
	}
	torch.Multiply(grads, 1/l.Factor())
	norm = torch.Norm(grads)
	l.overflown = l.overflown || math.IsNaN(norm) || math.IsInf(norm, 0)
	return norm
}

// Adjust ends a step: all of its losses had the same scale.
func (l *LossScale) Adjust() {
	switch {
	case l == nil:
		return
	case l.overflown:
		l.thousandths -= 1000
	default:
		l.thousandths++
	}
	l.overflown = false
}

// Save puts the scale into state under a name.
func (l *LossScale) Save(state map[string]checkpoint.Tensor, name string) {
	if l != nil {
		state[name] = checkpoint.Tensor{DType: checkpoint.I64, Shape: []int{1}, Data: binary.LittleEndian.AppendUint64(nil, uint64(l.thousandths))}
	}
}

// Load restores what Save saved.
func (l *LossScale) Load(f checkpoint.Source, name string) error {
	if l == nil {
		return nil
	}
	t, err := f.Tensor(name)
	if err != nil {
		return fmt.Errorf("loss scale: %w", err)
	}
	if t.DType != checkpoint.I64 || len(t.Data) != 8 {
		return fmt.Errorf("loss scale: %s is not one integer", name)
	}
	l.thousandths = int64(binary.LittleEndian.Uint64(t.Data))
	return nil
}
