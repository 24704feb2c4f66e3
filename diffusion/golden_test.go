package diffusion_test

import (
	"math"
	"regexp"
	"slices"
	"strconv"
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
	p := diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: f.NumberOr("sigma_data", 0.5)}
	switch f.Text("diffusion_type") {
	case "", "ve":
	case "vp":
		p.Process = diffusion.VP{BetaMin: f.NumberOr("beta_min", 0.1), BetaMax: f.NumberOr("beta_max", 20)}
	case "reflow":
		p.Process = diffusion.RectifiedFlow{}
	default:
		t.Fatalf("unknown diffusion_type %q", f.Text("diffusion_type"))
	}
	return p
}

// weighting is one of diffusion.Weightings.
func weighting(t *testing.T, name string) diffusion.Weighting {
	t.Helper()
	weight, known := diffusion.Weightings[name]
	if !known {
		t.Fatalf("no weighting %q", name)
	}
	return weight
}

// schedule is n noise levels from high to low, in float32 as the reference has them.
func schedule(n int, low, high, rho float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(float32(diffusion.Level(float64(i)/float64(max(n-1, 1)), low, high, rho)))
	}
	return out
}

// match reads the numbers in a name of the given form.
func match(form *regexp.Regexp, name string) []float64 {
	m := form.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	out := make([]float64, len(m)-1)
	for i, text := range m[1:] {
		out[i], _ = strconv.ParseFloat(text, 64) // an empty one is 0
	}
	return out
}

var (
	sigmasName = regexp.MustCompile(`^out\.get_sigmas_karras_(\d+)(?:_rho([\d.]+))?$`)
	timesName  = regexp.MustCompile(`^out\.get_t_ind_(\d+)_(\d+)_of_(\d+)$`)
	embedName  = regexp.MustCompile(`^out\.timestep_embedding_(\d+)$`)
	stepName   = regexp.MustCompile(`\.x_at_step_(\d+)$`)
	downName   = regexp.MustCompile(`^out\.heun_solver_fwd(\d+)_from_ind(\d+)$`)
	upName     = regexp.MustCompile(`^out\.heun_solver_rev(\d+)_from_ind(\d+)$`)
)

func TestGoldenPrecond(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		p := preconditioning(t, f)
		low, high, rho := float64(float32(f.Number("sigma_min"))), f.Number("sigma_max"), f.Number("rho")
		levels := f.Floats("in.sigma")
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
			"snr":        func(v float64) float64 { return 1 / (v * v) }, // of the reference's get_snr, whatever the process
			"rescaled_t": func(v float64) float64 { return float64(unet.NoiseArgument(float32(v))) },
		}
		for _, name := range f.Names() {
			if schedule, ok := strings.CutPrefix(name, "out.weight."); ok {
				weight := weighting(t, schedule)
				entries["weight."+schedule] = func(v float64) float64 { return weight(1/(v*v), p.SigmaData) }
			}
		}
		for name, entry := range entries {
			f.CompareEach("out."+name, each(levels, entry), 1e-5, 0)
		}

		for _, name := range f.Names() {
			if m := match(sigmasName, name); m != nil {
				n, low, high, rho := int(m[0]), low, high, rho
				if m[1] > 0 { // another rho, and ends that are not in the metadata
					stored := f.Floats(name)
					low, high, rho = float64(stored[n-1]), float64(stored[0]), m[1]
				}
				f.CompareEach(name, append(schedule(n, low, high, rho), 0), 1e-5, 0)
			}
			if m := match(timesName, name); m != nil {
				f.CompareEach(name, schedule(int(m[2]), low, high, rho)[int(m[0]):int(m[1])+1], 1e-5, 0)
			}
		}

		normal := diffusion.LogNormal{Mean: f.Number("p_mean"), Std: f.Number("p_std")}.Level
		f.CompareEach("out.lognormal_sigma", each(f.Floats("in.lognormal_normal"), normal), 1e-5, 0)
		f.CompareEach("out.halflognormal_sigma", append(each(f.Floats("in.halflog_normal"), normal),
			each(f.Floats("in.halflog_uniform"), func(u float64) float64 {
				return diffusion.Level(f.Number("diffusion_mult")*u, low, high, rho)
			})...), 1e-5, 0)

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
		checkEmbeddings(t, f)
	}, "diffusion_precond")
}

// each evaluates f at every number.
func each(x []float32, f func(v float64) float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = f(float64(v))
	}
	return out
}

// checkEmbeddings compares how the network is told the time. At time 0, where the argument is
// some -25000, its rounding alone turns the finest wave by a thousandth.
func checkEmbeddings(t *testing.T, f *golden.File) {
	levels := f.Floats("in.temb_sigma")
	var arguments []float32
	for _, v := range levels {
		arguments = append(arguments, unet.NoiseArgument(v))
	}
	f.CompareEach("out.temb_arg", each(arguments, func(v float64) float64 { return v }), 1e-5, 0)
	for _, name := range f.Names() {
		m := match(embedName, name)
		if m == nil {
			continue
		}
		width := int(m[0])
		got, stored := unet.TimestepEmbedding(f.Scope, arguments, width).Float32s(), f.Floats(name)
		for i, v := range levels {
			tolerance := 2e-4
			if v == 0 {
				tolerance = 5e-3
			}
			for j := i * width; j < (i+1)*width; j++ {
				if off := math.Abs(float64(got[j] - stored[j])); !(off <= tolerance) {
					t.Errorf("%s: at time %g off by %.3g, tolerance %g", name, v, off, tolerance)
				}
			}
		}
	}
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
		loss := p.Loss(s, d, x, noise, sigma, weighting(t, f.Text("weight_schedule")))
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
			f.Compare(name, p.Loss(off, d, x, noise, sigma, weighting(t, schedule)), 2e-4, 0)
		}

		z, high := f.Tensor("in.z"), f.Number("sigma_max")
		f.Compare("out.get_T_to_0", p.OneStep(off, u, z, high, labels), 2e-4, 0)
		encoded := p.OneStep(off, u, x, 0, labels)
		f.Compare("out.encoder_at_T0", encoded, 2e-3, 0)
		f.Compare("out.encoder_loss", diffusion.EncoderLoss(off, encoded, z, high), 1e-3, 0)
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
			var evaluated [][]float64
			y := solve(v, trace(d, func(x []float64) { evaluated = append(evaluated, x) }), start, path)
			var at [][]float64
			for i := 0; i < len(evaluated); i += 2 {
				at = append(at, evaluated[i])
			}
			if len(at) < n { // the way up ends at a noise level, not below the last
				at = append(at, y.Float64s())
			}
			var size []float64
			for _, x := range at {
				size = append(size, rms(x))
			}
			f.CompareFloats(name+".x_rms_per_step", size, 2e-3, 0)
			for _, stored := range f.Names() {
				if m := match(stepName, stored); m != nil && strings.HasPrefix(stored, name+".") {
					f.CompareFloats(stored, at[int(m[0])], 2e-3, 0)
				}
			}
			f.Compare(name, y, 2e-3, 0)
			return y
		}
		forward := steps("out.forward", noise, down)
		f.Compare("out.forward.karras_sample_clip_output", s.Clamp(forward, -1, 1), 2e-3, 0)
		f.Compare("out.forward.clip_denoised", solve(v, clipped, noise, down), 2e-3, 0)
		steps("out.reverse", data, up)
		f.Compare("out.reverse.clip_denoised", solve(v, clipped, data, up), 2e-3, 0)
		f.Compare("out.roundtrip", solve(v, d, f.Tensor("out.reverse"), down), 2e-3, 0) // a few steps enlarge differences of the way up
		f.Compare("out.onestep", s.Clamp(p.OneStep(s, u, noise, f.Number("sigma_max"), labels), -1, 1), 2e-3, 0)
		euler := diffusion.Solver{Process: p.Process, Euler: true}
		f.Compare("out.euler.forward", solve(euler, d, noise, append(levels(n+1), 0)), 2e-3, 0) // the reference gives Euler one level more

		churned := v
		noises := f.Tensor("churn.in.noises")
		churned.Churn = diffusion.Churn{
			Amount: f.Number("churn.s_churn"), Noise: f.NumberOr("churn.s_noise", 1),
			Low: f.NumberOr("churn.s_tmin", 0), High: f.NumberOr("churn.s_tmax", 0),
			Normal: func(s *torch.Scope, i int) *torch.Tensor {
				return s.Reshape(s.Narrow(noises, 0, i, 1), noise.Shape()...)
			},
		}
		f.Compare("churn.out", solve(churned, d, noise, append(levels(f.Int("churn.n_steps")), 0)), 2e-3, 0)

		scales := levels(f.Int("heun_solver.start_scales"))
		for _, name := range f.Names() {
			if m := match(downName, name); m != nil {
				count, from := int(m[0]), int(m[1])
				f.Compare(name, solve(v, d, s.Scale(noise, 0.1), scales[from:from+count+1]), 2e-3, 0)
			}
			if m := match(upName, name); m != nil {
				count, from := int(m[0]), int(m[1])
				path := slices.Clone(scales[from-count : from+1])
				slices.Reverse(path)
				f.Compare(name, solve(v, d, data, path), 2e-3, 0)
			}
		}
	}, "diffusion_ode")
}
