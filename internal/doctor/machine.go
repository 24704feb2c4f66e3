package doctor

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/pagoda-go/pagoda/torch"
)

// Machine is what the processor could do.
type Machine struct {
	Processor string  // as it calls itself
	Cores     int     // that this process may use; two threads of one core are one
	GHz       float64 // measured
	SIMD      string  // widest instruction set
	PerCycle  int     // float32 operations of a core in a cycle, a multiply-add being two
	BFloat16  bool    // multiplies bfloat16 in hardware, twice as fast
}

// Peak is cores × clock × operations a cycle, GFLOP/s of float32. No program
// reaches it; a good matrix product comes to 70 or 90 %.
func (m Machine) Peak() float64 { return float64(m.Cores) * m.GHz * float64(m.PerCycle) }

// peak is Peak for numbers of another type.
func (m Machine) peak(dtype torch.DType) float64 {
	if dtype == torch.BFloat16 && m.BFloat16 {
		return 2 * m.Peak()
	}
	return m.Peak()
}

func thisMachine() Machine {
	text, _ := os.ReadFile("/proc/cpuinfo")
	m := Machine{Processor: runtime.GOARCH, BFloat16: torch.FastBFloat16(), GHz: clock()}
	family, socket, cores := "", "", map[string]bool{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "model name":
			m.Processor = value
		case "cpu family":
			family = value
		case "physical id":
			socket = value
		case "core id":
			cores[socket+"/"+value] = true
		}
	}
	m.Cores = runtime.NumCPU()
	if len(cores) > 0 {
		m.Cores = min(m.Cores, len(cores))
	}
	zen4 := strings.HasPrefix(m.Processor, "AMD") && family == "25"
	switch {
	case cpu.X86.HasAVX512F && zen4:
		m.SIMD, m.PerCycle = "AVX-512 in halves", 32 // two 256-bit multiply-adds
	case cpu.X86.HasAVX512F:
		m.SIMD, m.PerCycle = "AVX-512", 64 // two 512-bit multiply-adds
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		m.SIMD, m.PerCycle = "AVX2", 32
	case cpu.X86.HasAVX:
		m.SIMD, m.PerCycle = "AVX", 16 // a multiplication and an addition
	case runtime.GOARCH == "arm64":
		m.SIMD, m.PerCycle = "NEON", 16 // two 128-bit multiply-adds
	default:
		m.SIMD, m.PerCycle = "SSE", 8
	}
	return m
}

// clock measures the processor's GHz under load: integer multiplications that
// wait for each other take three cycles each on all current processors. The
// best of many short runs is one that nothing interrupted.
func clock() float64 {
	const n = 200_000
	best := time.Hour
	x := uint64(time.Now().UnixNano()) | 1
	for range 50 {
		start := time.Now()
		for range n {
			x *= x
		}
		best = min(best, time.Since(start))
	}
	runtime.KeepAlive(x) // or the compiler would drop the loop
	return 3 * n / float64(best.Nanoseconds())
}
