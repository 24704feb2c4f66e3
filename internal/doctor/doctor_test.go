package doctor

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/torch"
)

// healthy is a report with nothing wrong.
func healthy() Report {
	m := Machine{Processor: "Test", Cores: 2, GHz: 3, SIMD: "AVX-512", PerCycle: 64, BFloat16: true}
	return Report{
		Engine: torch.Info{Threads: 2, BLAS: "SkylakeX"}, BLAS: "/usr/lib/openblas-openmp/libopenblas.so.0",
		Machine: m, Speeds: []Speed{{"matrix product", 0.8 * m.Peak(), m.Peak()}},
	}
}

func TestFindings(t *testing.T) {
	for mention, harm := range map[string]func(*Report){
		"Prescott":              func(r *Report) { r.Engine.BLAS = "Prescott" },
		"1 of 2 cores":          func(r *Report) { r.Engine.Threads = 1 },
		"reference BLAS":        func(r *Report) { r.Engine.BLAS, r.BLAS = "", "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0" },
		"threads of its own":    func(r *Report) { r.BLAS = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0" },
		"NVIDIA":                func(r *Report) { r.NVIDIA = true },
		"bfloat16":              func(r *Report) { r.Machine.BFloat16 = false },
		"matrix product (10 %)": func(r *Report) { r.Speeds[0].GFLOPs = 0.1 * r.Machine.Peak() },
	} {
		r := healthy()
		harm(&r)
		if f := r.Findings(); len(f) != 1 || !strings.Contains(f[0].Problem, mention) || f[0].Cure == "" {
			t.Errorf("%s: %+v", mention, f)
		}
	}
	if f := healthy().Findings(); len(f) > 0 {
		t.Errorf("nothing is wrong, but %+v", f)
	}
}

func TestExamine(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	before := torch.LiveTensors()
	r, err := Examine()
	if err != nil {
		t.Fatal(err)
	}
	if n := torch.LiveTensors(); n != before {
		t.Errorf("%d tensors live, %d before", n, before)
	}
	if len(r.Speeds) != 4 || r.Machine.GHz < 0.5 || r.Machine.GHz > 10 || r.Machine.Cores < 1 {
		t.Errorf("%+v", r)
	}
	for _, s := range r.Speeds {
		most := 1.2
		if strings.HasPrefix(s.Work, "convolution") {
			most *= 2.25 // Winograd's algorithm
		}
		if s.GFLOPs <= 0 || s.Share() > most {
			t.Errorf("%s: %.0f of %.0f GFLOP/s", s.Work, s.GFLOPs, s.Peak)
		}
	}
}

// A machine without libtorch, or with a wrong engine, gets one sentence. The
// engine loads once, so this takes a process of its own.
func TestMissingLibtorch(t *testing.T) {
	if os.Getenv("DOCTOR_CHILD") != "" {
		if _, err := Examine(); err != nil {
			os.Stdout.WriteString(err.Error())
		}
		return
	}
	for engine, want := range map[string]string{"": "no libtorch in", "/missing.so": "PAGODA_ENGINE names it: unset it"} {
		child := exec.Command(os.Args[0], "-test.run=^TestMissingLibtorch$")
		child.Env = append(os.Environ(), "DOCTOR_CHILD=1", "LIBTORCH="+t.TempDir(), "PAGODA_ENGINE="+engine)
		out, err := child.Output()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s %v", out, err)
		}
	}
}
