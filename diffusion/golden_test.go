package diffusion_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// preconditioning is that of a file's metadata; what a file leaves out is the reference's default.
func preconditioning(t *testing.T, f *golden.File) diffusion.Preconditioning {
	t.Helper()
	p := diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: f.Number("sigma_data")}
	switch f.Text("diffusion_type") {
	case "", "ve":
	case "vp":
		vp := diffusion.VP{BetaMin: 0.1, BetaMax: 20}
		if f.Text("beta_min") != "" {
			vp = diffusion.VP{BetaMin: f.Number("beta_min"), BetaMax: f.Number("beta_max")}
		}
		p.Process = vp
	case "reflow":
		p.Process = diffusion.RectifiedFlow{}
	default:
		t.Fatalf("unknown diffusion_type %q", f.Text("diffusion_type"))
	}
	return p
}

// schedule is n noise levels from high to low, in float32 as the reference has them.
func schedule(n int, low, high, rho float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(diffusion.Level(float64(i)/float64(n-1), low, high, rho)))
	}
	return out
}

func TestGoldenPrecond(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		p := preconditioning(t, f)
		low, high, rho := f.Number("sigma_min"), f.Number("sigma_max"), f.Number("rho")
		entries := map[string]func(v float64) float64{
			"c_in": p.CIn, "c_skip": p.CSkip, "c_out": p.COut,
			"decoder_c_skip": func(v float64) float64 { skip, _ := p.DecoderScalings(v, low); return skip },
			"decoder_c_out":  func(v float64) float64 { _, out := p.DecoderScalings(v, low); return out },
			"alpha":          func(v float64) float64 { alpha, _ := p.Process.At(v); return alpha },
			"beta":           func(v float64) float64 { _, beta := p.Process.At(v); return beta },
			"dlogalpha": func(v float64) float64 {
				alpha, _ := p.Process.At(v)
				slope, _ := p.Process.Slope(v)
				return slope / alpha
			},
			"dlogbeta": func(v float64) float64 {
				_, beta := p.Process.At(v)
				_, slope := p.Process.Slope(v)
				return slope / beta
			},
			"rescaled_t": func(v float64) float64 { return float64(unet.NoiseArgument(float32(v))) },
		}
		for _, name := range f.Names() {
			if schedule, ok := strings.CutPrefix(name, "out.weight."); ok {
				weight, known := diffusion.Weightings[schedule]
				if !known {
					t.Errorf("no weighting %s", schedule)
					continue
				}
				entries["weight."+schedule] = func(v float64) float64 { return weight(1/(v*v), p.SigmaData) }
			}
		}
		for name, entry := range entries {
			var got []float64
			for _, v := range f.Floats("in.sigma") {
				got = append(got, entry(float64(v)))
			}
			f.CompareFloats("out."+name, got, 1e-5, 0)
		}

		for _, name := range f.Names() {
			var n, last, power int
			switch {
			case scan(name, "out.get_sigmas_karras_%d_rho%d", &n, &power):
				ends := f.Floats(name)
				f.CompareFloats(name, append(schedule(n, float64(ends[n-1]), float64(ends[0]), float64(power)), 0), 1e-5, 0)
			case scan(name, "out.get_sigmas_karras_%d", &n):
				f.CompareFloats(name, append(schedule(n, low, high, rho), 0), 1e-5, 0)
			case scan(name, "out.get_t_ind_0_%d_of_%d", &last, &n):
				f.CompareFloats(name, schedule(n, low, high, rho)[:last+1], 1e-5, 0)
			}
		}

		levels := diffusion.LogNormal{Mean: f.Number("p_mean"), Std: f.Number("p_std")}
		draw := func(normals string) (out []float64) {
			for _, v := range f.Floats(normals) {
				out = append(out, levels.Level(float64(v)))
			}
			return out
		}
		f.CompareFloats("out.lognormal_sigma", draw("in.lognormal_normal"), 1e-5, 0)
		half := draw("in.halflog_normal")
		for _, u := range f.Floats("in.halflog_uniform") {
			half = append(half, diffusion.Level(f.Number("diffusion_mult")*float64(u), low, high, rho))
		}
		f.CompareFloats("out.halflognormal_sigma", half, 1e-5, 0)

		s := f.Scope
		var slopes []*torch.Tensor
		for i, v := range f.Floats("in.x_sigma") {
			x, denoised := s.Narrow(f.Tensor("in.x"), 0, i, 1), s.Narrow(f.Tensor("in.x_denoised"), 0, i, 1)
			known := func(*torch.Scope, *torch.Tensor, []float32) *torch.Tensor { return denoised }
			step, err := diffusion.Solver{Process: p.Process, Euler: true}.Solve(s, known, x, []float64{float64(v), 0})
			if err != nil {
				t.Fatal(err)
			}
			slopes = append(slopes, s.Scale(s.Sub(x, step), 1/float64(v)))
		}
		f.Compare("out.to_d", s.Cat(0, slopes...), 1e-5, 0)

		var arguments []float32
		var exact []float64
		for _, v := range f.Floats("in.temb_sigma") {
			a := unet.NoiseArgument(v)
			arguments, exact = append(arguments, a), append(exact, float64(a))
		}
		f.CompareFloats("out.temb_arg", exact, 1e-6, 0)
		for _, name := range f.Names() {
			var dim int
			if !scan(name, "out.timestep_embedding_%d", &dim) {
				continue
			}
			var got []float64
			for _, v := range unet.TimestepEmbedding(arguments, dim) {
				got = append(got, float64(v))
			}
			f.CompareFloats(name, got, 0, 5e-3)
		}
	}, "diffusion_precond")
}

// scan tells whether a name has the given form, and reads its numbers.
func scan(name, form string, numbers ...any) bool {
	n, err := fmt.Sscanf(name, form, numbers...)
	if err != nil || n != len(numbers) {
		return false
	}
	for i, v := range numbers {
		numbers[i] = *v.(*int)
	}
	return fmt.Sprintf(form, numbers...) == name
}

func TestGoldenLoss(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, params := f.Params().UNet()
		s := f.Scope.WithGrad()
		defer s.Close()
		labels := f.Ints("in.y")
		p := preconditioning(t, f)
		d := p.Denoise(u, labels)
		x, noise, sigma := f.Tensor("in.x0"), f.Tensor("in.noise"), f.Floats("in.sigma")
		f.Compare("out.denoised", d(s, f.Tensor("out.x_t"), sigma), 2e-4, 0)
		loss := p.Loss(s, d, x, noise, sigma, diffusion.Weightings[f.Text("weight_schedule")])
		f.Compare("out.loss_per_sample", loss, 2e-4, 0)
		f.Compare("out.loss_mean", s.Mean(loss), 2e-4, 0)
		grads := s.Grad(s.Mean(loss), params.Trainable())
		f.CompareFloats("out.grad_norm_total", []float64{torch.Norm(grads)}, 2e-3, 0)
		f.CompareGradients("", ".param.", params.Names(), grads, 2e-3)

		off := f.Scope
		for _, name := range f.Names() {
			schedule, ok := strings.CutPrefix(name, "out.loss_per_sample.")
			if !ok {
				continue
			}
			weight, known := diffusion.Weightings[schedule]
			if !known {
				t.Errorf("no weighting %s", schedule)
				continue
			}
			f.Compare(name, p.Loss(off, d, x, noise, sigma, weight), 2e-4, 0)
		}

		z := f.Tensor("in.z")
		f.Compare("out.get_T_to_0", diffusion.Generate(off, u, z, labels), 2e-4, 0)
		encoded := diffusion.Encode(off, u, x, labels)
		f.Compare("out.encoder_at_T0", encoded, 2e-3, 0)
		f.Compare("out.encoder_loss", diffusion.EncoderLoss(off, encoded, z), 1e-3, 0)
	}, "diffusion_loss")
}

// trace records where a denoiser is evaluated.
func trace(d diffusion.Denoiser, visit func(x []float64)) diffusion.Denoiser {
	return func(s *torch.Scope, x *torch.Tensor, sigma []float32) *torch.Tensor {
		visit(x.Float64s())
		return d(s, x, sigma)
	}
}

func rms(x []float64) float64 {
	sum := 0.
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(x)))
}

func TestGoldenODE(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		u, _ := f.Params().UNet()
		s, labels, p := f.Scope, f.Ints("in.y"), preconditioning(t, f)
		d := p.Denoise(u, labels)
		clipped := func(s *torch.Scope, x *torch.Tensor, sigma []float32) *torch.Tensor {
			return s.Clamp(d(s, x, sigma), -1, 1)
		}
		v := diffusion.Solver{Process: p.Process}
		solve := func(v diffusion.Solver, d diffusion.Denoiser, x *torch.Tensor, path []float64) *torch.Tensor {
			t.Helper()
			y, err := v.Solve(s, d, x, path)
			if err != nil {
				t.Fatal(err)
			}
			return y
		}
		n := f.Int("n_steps")
		levels := func(n int) []float64 {
			return schedule(n, f.Number("sigma_min"), f.Number("sigma_max"), f.Number("rho"))
		}
		down := append(levels(n), 0)
		up := levels(n)
		slices.Reverse(up)
		noise, data := f.Tensor("in.x_T"), f.Tensor("in.data")

		// Two evaluations a step: the even ones are where the steps start.
		steps := func(name string, start *torch.Tensor, path []float64) *torch.Tensor {
			evaluation := 0
			var size []float64
			y := solve(v, trace(d, func(x []float64) {
				if evaluation%2 == 0 {
					size = append(size, rms(x))
					var i int
					for _, at := range f.Names() {
						if scan(at, name+".x_at_step_%d", &i) && i == evaluation/2 {
							f.CompareFloats(at, x, 2e-3, 0)
						}
					}
				}
				evaluation++
			}), start, path)
			if len(size) < n { // the way up ends at a noise level, not below the last
				size = append(size, rms(y.Float64s()))
			}
			f.CompareFloats(name+".x_rms_per_step", size, 2e-3, 0)
			f.Compare(name, y, 2e-3, 0)
			return y
		}
		forward := steps("out.forward", noise, down)
		f.Compare("out.forward.karras_sample_clip_output", s.Clamp(forward, -1, 1), 2e-3, 0)
		f.Compare("out.forward.clip_denoised", solve(v, clipped, noise, down), 2e-3, 0)
		inverted := steps("out.reverse", data, up)
		f.Compare("out.reverse.clip_denoised", solve(v, clipped, data, up), 2e-3, 0)
		f.Compare("out.roundtrip", solve(v, d, inverted, down), 2e-3, 0)
		f.Compare("out.onestep", s.Clamp(diffusion.Generate(s, u, noise, labels), -1, 1), 2e-3, 0)
		euler := diffusion.Solver{Process: p.Process, Euler: true}
		f.Compare("out.euler.forward", solve(euler, d, noise, append(levels(n+1), 0)), 2e-3, 0) // the reference gives Euler one level more

		churned := v
		noises := f.Tensor("churn.in.noises")
		churned.Churn = diffusion.Churn{
			Amount: f.Number("churn.s_churn"), Noise: f.Number("churn.s_noise"),
			Low: f.Number("churn.s_tmin"), High: f.Number("churn.s_tmax"),
			Normal: func(s *torch.Scope, i int) *torch.Tensor {
				return s.Reshape(s.Narrow(noises, 0, i, 1), noise.Shape()...)
			},
		}
		f.Compare("churn.out", solve(churned, d, noise, append(levels(f.Int("churn.n_steps")), 0)), 2e-3, 0)

		scales := levels(f.Int("heun_solver.start_scales"))
		for _, name := range f.Names() {
			var count, from int
			switch {
			case scan(name, "out.heun_solver_fwd%d_from_ind%d", &count, &from):
				f.Compare(name, solve(v, d, s.Scale(noise, 0.1), scales[from:from+count+1]), 2e-3, 0)
			case scan(name, "out.heun_solver_rev%d_from_ind%d", &count, &from):
				path := slices.Clone(scales[from-count : from+1])
				slices.Reverse(path)
				f.Compare(name, solve(v, d, data, path), 2e-3, 0)
			}
		}
	}, "diffusion_ode")
}
