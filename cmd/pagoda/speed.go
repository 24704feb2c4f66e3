package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/internal/doctor"
)

// measured reports what making s.n pictures took. It closes the model, whose
// thread would slow down the measurement of the machine.
func (s *sampling) measured(out io.Writer, m *pagoda.Model, took time.Duration) error {
	memory, known := peakMemory()
	info, dtype := m.Info(), m.Precision()
	if err := m.Close(); err != nil {
		return err
	}
	reached := info.FLOPs * float64(s.n) / took.Seconds() / 1e9
	text := fmt.Sprintf("%s with random weights, %d parameters, %v: %.1f GFLOP a picture at %.1f GFLOP/s",
		s.random, info.Parameters, dtype, info.FLOPs/1e9, reached)
	if s.options.Device == "" || s.options.Device == "cpu" {
		best := doctor.MatrixProduct(dtype)
		text += fmt.Sprintf(", %.0f %% of the processor's peak and %.0f %% of a matrix product's speed", 100*reached/best.Peak, 100*reached/best.GFLOPs)
	}
	if known {
		text += fmt.Sprintf("; at most %.2f GiB of memory", memory/(1<<30))
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// peakMemory is the most main memory that this process has had, in bytes, where the system tells.
func peakMemory() (bytes float64, ok bool) {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	var kB float64
	_, err := fmt.Sscan(line, &kB)
	return 1024 * kB, err == nil
}
