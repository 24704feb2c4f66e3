package optim

import (
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

// A first moment that keeps nothing must be possible: it is what adversarial training uses.
func TestBeta1MayBeZero(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	p := s.Zeros(1)
	o := New(s, []*torch.Tensor{p}, Options{Kind: Adam, Beta1: 0, Beta2: 0.99})
	o.Step([]*torch.Tensor{s.Full(1, 1)}, 0.1)
	o.Step([]*torch.Tensor{s.Full(0, 1)}, 0.1) // no gradient, and none remembered: no step
	if got := p.Item(); got > -0.0999 || got < -0.1001 {
		t.Errorf("the parameter is %v, want -0.1", got)
	}
}

// Gradients of too large a norm are scaled together, smaller ones are left alone.
func TestClip(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	moments := func(clip float64, grads ...float64) []float64 {
		var p, g []*torch.Tensor
		for _, v := range grads {
			p, g = append(p, s.Zeros(1)), append(g, s.Full(v, 1))
		}
		o := New(s, p, Options{Kind: Adam, Beta1: 0, Beta2: 0.99, Clip: clip})
		o.Step(g, 0.1)
		var m []float64
		for i := range o.m {
			m = append(m, o.m[i].Item())
			if v := g[i].Item(); v != grads[i] {
				t.Errorf("the gradient itself became %g", v)
			}
		}
		return m
	}
	for _, c := range []struct{ clip, first, second float64 }{{0, 3, 4}, {5, 3, 4}, {2.5, 1.5, 2}} {
		if m := moments(c.clip, 3, 4); math.Abs(m[0]-c.first)+math.Abs(m[1]-c.second) > 1e-6 {
			t.Errorf("clip %g: gradients %v arrive, want %g and %g", c.clip, m, c.first, c.second)
		}
	}
}
