package main

import (
	"runtime"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/doctor"
	"github.com/pagoda-go/pagoda/torch"
)

func TestDoctorPrintsCures(t *testing.T) {
	var out strings.Builder
	r := doctor.Report{
		Engine:  torch.Info{Version: "9.9", Threads: 1, BLAS: "Nehalem"},
		Machine: doctor.Machine{Processor: "Test", Cores: 4, GHz: 2, SIMD: "AVX2", PerCycle: 32, BFloat16: true},
		Speeds:  []doctor.Speed{{Work: "matrix product", GFLOPs: 16, Peak: 256}},
	}
	if err := printReport(&out, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"libtorch", "9.9", "kernel for Nehalem", "4 cores × 2.00 GHz", "6 % of the peak", "Wrong: the engine uses 1 of 4 cores.", "OPENBLAS_CORETYPE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestVersion(t *testing.T) {
	text, err := pagodaCommand(t, "version")
	if err != nil || !strings.Contains(text, runtime.Version()) || !strings.Contains(text, "libtorch") {
		t.Error(text, err)
	}
}
