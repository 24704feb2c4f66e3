package optim

import (
	"fmt"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

func TestGoldenRAdam(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		for _, name := range []string{"plain", "wd"} {
			s := f.Scope
			config := name + ".config"
			p := s.Clone(f.Tensor(name + ".in.param0"))
			opt := New(s, []*torch.Tensor{p}, Options{Kind: RAdam, Eps: f.Entry(config, "eps"), Decay: f.Entry(config, "weight_decay")})
			var averages []*EMA
			var targets []*torch.Tensor
			for _, rate := range f.Numbers("ema_rates") {
				target := s.Clone(p)
				targets = append(targets, target)
				averages = append(averages, NewEMA([]*torch.Tensor{target}, []*torch.Tensor{p}, rate, 0))
			}
			grads := f.Tensor(name + ".in.grads")
			var params []float64
			emas := make([][]float64, len(averages))
			for i := range grads.Dim(0) {
				g := s.Reshape(s.Narrow(grads, 0, i, 1), p.Shape()...)
				opt.Step([]*torch.Tensor{g}, f.Entry(config, "lr"))
				params = append(params, p.Float64s()...)
				for j, a := range averages {
					a.Update(int64(i))
					emas[j] = append(emas[j], targets[j].Float64s()...)
				}
			}
			f.CompareFloats(name+".out.params", params, 1e-5, 0)
			f.Compare(name+".out.exp_avg_last", opt.m[0], 1e-5, 0)
			f.Compare(name+".out.exp_avg_sq_last", opt.v[0], 1e-5, 0)
			for j, rate := range f.Numbers("ema_rates") {
				f.CompareFloats(fmt.Sprintf("%s.out.ema.%v", name, rate), emas[j], 2e-6, 0)
			}
		}
	}, "radam")
}
