package optim

import (
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

type stored map[string]checkpoint.Tensor

func (s stored) Tensor(name string) (checkpoint.Tensor, error) {
	t, ok := s[name]
	if !ok {
		return t, checkpoint.ErrOffsets
	}
	return t, nil
}

// Gradients come out as those of the loss itself, and the scale follows what becomes of them, from step to step.
func TestLossScale(t *testing.T) {
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	x := root.FromFloat32([]float32{3, 4}, 2)
	x.RequireGrad(true)
	l := NewLossScale()
	gradient := func(l *LossScale) []*torch.Tensor {
		s := root.WithLossScale(l.Factor()).WithGrad()
		return s.Grad(s.Sum(s.Square(x)), []*torch.Tensor{x})
	}
	scaled := gradient(l)
	if got := torch.Norm(scaled); got != 10*(1<<20) {
		t.Errorf("the norm of the scaled gradients is %g", got)
	}
	if norm := l.Unscale(scaled); norm != 10 || scaled[0].Float32s()[1] != 8 {
		t.Errorf("norm %g, gradients %v", norm, scaled[0].Float32s())
	}
	l.Adjust()
	if got := math.Log2(l.Factor()); math.Abs(got-20.001) > 1e-9 {
		t.Errorf("after a finite gradient the scale is 2^%g", got)
	}
	for _, bad := range []float64{math.Inf(1), math.NaN()} {
		before, later := l.Factor(), gradient(l)
		if norm := l.Unscale([]*torch.Tensor{root.Full(1, 2), root.Full(bad, 1)}); !math.IsInf(norm, 0) && !math.IsNaN(norm) {
			t.Errorf("the norm with %g is %g", bad, norm)
		}
		if norm := l.Unscale(later); math.Abs(norm-10) > 1e-5 {
			t.Errorf("in the same step, after %g, a gradient of norm 10 has norm %g", bad, norm)
		}
		l.Adjust()
		if got := before / l.Factor(); math.Abs(got-2) > 1e-9 {
			t.Errorf("after %g the scale is %g times less", bad, got)
		}
	}
	state, other := stored{}, NewLossScale()
	l.Save(state, "scale")
	if err := other.Load(state, "scale"); err != nil || *other != *l {
		t.Errorf("%v after saving and loading, want %v; %v", other, l, err)
	}
	if err := other.Load(stored{}, "scale"); err == nil {
		t.Error("a missing scale was loaded")
	}

	var none *LossScale
	none.Save(state, "none")
	none.Adjust()
	if norm := none.Unscale(gradient(none)); norm != 10 || none.Load(state, "none") != nil || len(state) != 1 {
		t.Errorf("without a scale: norm %g, %v", norm, state)
	}
}
