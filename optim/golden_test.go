package optim

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

func TestGoldenRAdam(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		cases := 0
		for _, name := range f.Names() {
			if at, ok := strings.CutSuffix(name, "in.param0"); ok {
				checkRAdam(t, f, at)
				cases++
			}
		}
		if cases == 0 {
			t.Error("no *in.param0 in the file")
		}
	}, "radam")
}

// average is a stored moving average.
type average struct {
	name   string
	ema    *EMA
	target *torch.Tensor
	values []float64 // after every step
}

// checkRAdam runs the case whose tensors and settings start with at.
func checkRAdam(t *testing.T, f *golden.File, at string) {
	s := f.Scope
	c := struct {
		LR    float64    `json:"lr"`
		Betas [2]float64 `json:"betas"`
		Eps   float64    `json:"eps"`
		Decay float64    `json:"weight_decay"`
	}{LR: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8}
	f.Decode(at+"config", &c)
	p := s.Clone(f.Tensor(at + "in.param0"))
	opt := New(s, []*torch.Tensor{p}, Options{Kind: RAdam, Beta1: c.Betas[0], Beta2: c.Betas[1], Eps: c.Eps, Decay: c.Decay})
	var averages []*average
	for _, name := range f.Names() {
		if text, ok := strings.CutPrefix(name, at+"out.ema."); ok {
			rate, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			target := s.Clone(p)
			averages = append(averages, &average{name: name, target: target, ema: NewEMA([]*torch.Tensor{target}, []*torch.Tensor{p}, rate, 0)})
		}
	}
	if rates := f.Numbers("ema_rates"); len(rates) != len(averages) {
		t.Errorf("%d averages stored of rates %v", len(averages), rates)
	}
	grads := f.Tensor(at + "in.grads")
	var params []float64
	for i := range grads.Dim(0) {
		opt.Step([]*torch.Tensor{s.Reshape(s.Narrow(grads, 0, i, 1), p.Shape()...)}, c.LR)
		params = append(params, p.Float64s()...)
		for _, a := range averages {
			a.ema.Update(int64(i))
			a.values = append(a.values, a.target.Float64s()...)
		}
	}
	f.CompareFloats(at+"out.params", params, 1e-5, 0)
	f.Compare(at+"out.exp_avg_last", opt.m[0], 1e-5, 0)
	f.Compare(at+"out.exp_avg_sq_last", opt.v[0], 1e-5, 0)
	for _, a := range averages {
		f.CompareFloats(a.name, a.values, 2e-6, 0)
	}
	for i, want := range f.Numbers(at + "rectification_per_step") { // 0 where there is none
		if got := max(0, rectification(c.Betas[1], float64(i+1))); math.Abs(got-want) > 1e-6 {
			t.Errorf("%srectification of step %d is %g, want %g", at, i+1, got, want)
		}
	}
}
