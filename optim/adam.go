// Package optim has the optimisers and the moving average of weights.
package optim

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/torch"
)

// Kind names a member of Adam's family.
type Kind string

// Adam is Kingma & Ba's; AdamW decouples the weight decay (Loshchilov & Hutter);
// RAdam rectifies the variance of the first steps (Liu et al., as torch.optim.RAdam).
const (
	Adam  Kind = "adam"
	AdamW Kind = "adamw"
	RAdam Kind = "radam"
)

// Options configure an optimiser.
type Options struct {
	Kind  Kind
	Beta1 float64 // averaging of gradients
	Beta2 float64 // averaging of their squares; when zero, Beta1 is 0.9 and Beta2 0.999
	Eps   float64 // 1e-8 when zero
	Decay float64 // weight decay
	Clip  float64 // largest norm of all gradients together: larger ones are scaled down to it; zero for none
}

// Optimizer changes parameters in place by their gradients.
type Optimizer struct {
	options Options
	scope   *torch.Scope
	params  []*torch.Tensor
	m, v    []*torch.Tensor
	step    int64
}

// New makes an optimiser of params whose moments live in scope.
func New(scope *torch.Scope, params []*torch.Tensor, o Options) *Optimizer {
	if o.Beta2 == 0 {
		o.Beta2 = 0.999
		if o.Beta1 == 0 {
			o.Beta1 = 0.9
		}
	}
	if o.Eps == 0 {
		o.Eps = 1e-8
	}
	opt := &Optimizer{options: o, scope: scope, params: params}
	for _, p := range params {
		opt.m = append(opt.m, zerosLike(scope, p))
		opt.v = append(opt.v, zerosLike(scope, p))
	}
	return opt
}

// zerosLike makes float32 zeros in p's memory layout.
func zerosLike(scope *torch.Scope, p *torch.Tensor) *torch.Tensor {
	s := scope.NoGrad()
	defer s.Close()
	z := s.Clone(s.Scale(s.Detach(p), 0))
	s.MoveTo(scope, z)
	return z
}

// Step updates every parameter by its gradient with learning rate lr.
func (o *Optimizer) Step(grads []*torch.Tensor, lr float64) {
	s := o.scope.NoGrad()
	defer s.Close()
	grads = o.clip(s, grads)
	o.step++
	t := float64(o.step)
	u := torch.AdamStep{
		LR: lr, Beta1: o.options.Beta1, Beta2: o.options.Beta2, Eps: o.options.Eps, L2: o.options.Decay,
		Correction1:   1 - math.Pow(o.options.Beta1, t),
		Correction2:   math.Sqrt(1 - math.Pow(o.options.Beta2, t)),
		Rectification: 1,
	}
	switch o.options.Kind {
	case AdamW:
		u.Decay, u.L2 = u.L2, 0
	case RAdam:
		u.Rectification = rectification(o.options.Beta2, t)
	}
	torch.AdamUpdate(o.params, grads, o.m, o.v, u)
}

// clip brings the norm of all gradients together down to the largest one allowed.
func (o *Optimizer) clip(s *torch.Scope, grads []*torch.Tensor) []*torch.Tensor {
	if o.options.Clip == 0 {
		return grads
	}
	norm := torch.Norm(grads)
	if norm <= o.options.Clip {
		return grads
	}
	out := make([]*torch.Tensor, len(grads))
	for i, g := range grads {
		out[i] = s.Scale(g, o.options.Clip/norm)
	}
	return out
}

// rectification is RAdam's r_t, or -1 while the variance is intractable (rho_t <= 5).
func rectification(beta2, t float64) float64 {
	inf := 2/(1-beta2) - 1
	power := math.Pow(beta2, t)
	rho := inf - 2*t*power/(1-power)
	if rho <= 5 {
		return -1
	}
	return math.Sqrt((rho - 4) * (rho - 2) * inf / ((inf - 4) * (inf - 2) * rho))
}

// Save puts the moments and the step count into state under prefix.
func (o *Optimizer) Save(state map[string]checkpoint.Tensor, prefix string) {
	put := func(name string, t *torch.Tensor) {
		state[prefix+name] = checkpoint.Tensor{DType: checkpoint.F32, Shape: t.Shape(), Data: t.Bytes(torch.Float32)}
	}
	for i := range o.params {
		put(fmt.Sprintf("m.%d", i), o.m[i])
		put(fmt.Sprintf("v.%d", i), o.v[i])
	}
	state[prefix+"step"] = checkpoint.Tensor{DType: checkpoint.I64, Shape: []int{1}, Data: binary.LittleEndian.AppendUint64(nil, uint64(o.step))}
}

// Load restores what Save saved.
func (o *Optimizer) Load(f checkpoint.Source, prefix string) error {
	get := func(name string, into *torch.Tensor) error {
		t, err := f.Tensor(prefix + name)
		if err != nil {
			return fmt.Errorf("optimiser state: %w", err)
		}
		if t.DType != checkpoint.F32 {
			return fmt.Errorf("optimiser state %s: %w: it is %s, not %s", name, checkpoint.ErrDType, t.DType, checkpoint.F32)
		}
		into.Write(t.Data, torch.Float32)
		return nil
	}
	for i := range o.params {
		if err := get(fmt.Sprintf("m.%d", i), o.m[i]); err != nil {
			return err
		}
		if err := get(fmt.Sprintf("v.%d", i), o.v[i]); err != nil {
			return err
		}
	}
	t, err := f.Tensor(prefix + "step")
	if err != nil {
		return fmt.Errorf("optimiser state: %w", err)
	}
	if t.DType != checkpoint.I64 || len(t.Data) != 8 {
		return fmt.Errorf("optimiser state: %sstep is not one integer", prefix)
	}
	o.step = int64(binary.LittleEndian.Uint64(t.Data))
	return nil
}
