package optim

import (
	"testing"

	"github.com/pagoda-go/pagoda/torch"
)

// A first moment that keeps nothing must be possible: it is what adversarial training uses.
func TestBeta1MayBeZero(t *testing.T) {
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	p := s.Zeros(1)
	o := New(s, []*torch.Tensor{p}, Options{Kind: Adam, Beta1: 0, Beta2: 0.99})
	o.Step([]*torch.Tensor{s.Full(1, 1)}, 0.1)
	o.Step([]*torch.Tensor{s.Full(0, 1)}, 0.1) // no gradient, and none remembered: no step
	if got := p.Item(); got > -0.0999 || got < -0.1001 {
		t.Errorf("the parameter is %v, want -0.1", got)
	}
}
