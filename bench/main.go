// Command bench measures this program against the same work in plain PyTorch
// and prints one table. Run it in the repository's root, after `make build`:
//
//	go run ./bench [-rounds 5] [-time 2s] [-only regexp] [-python python3]
//
// With PAGODA_DEVICE=cuda, LIBTORCH and a Python whose PyTorch has CUDA it measures the device.
//
// The work is stage/bench_test.go on the one side, pytorch.py and paper.py on the other.
// Every measurement is a process of its own; the contestants take turns, and
// the table has the medians of all rounds. All have the same number of threads
// and the same OpenBLAS with the same kernels.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pagoda-go/pagoda/torch"
)

// works are the benchmarks, by the names that both sides give them.
var works = []work{
	{"Teacher", "teacher training step", anywhere},
	{"Distill", "distillation step, generator and discriminator", anywhere},
	{"Grow", "growth step to full resolution, likewise", anywhere},
	{"Invert", "inversion, three Heun steps of a batch", anywhere},
	{"SampleDemo", "one-step sampling, the demo's network", anywhere},
	{"SampleADM", "one-step sampling, ADM U-Net 64×64×3", anywhere},
	{"DistillPaper", "distillation step on the paper's objective", anywhere},
	{"GrowPaper", "growth step, likewise", anywhere},
	{"TeacherFull1", "teacher training step, ADM ImageNet-64 of 296 M", onProcessors},
	{"TeacherFull4", "likewise, four images", anywhere},
	{"TeacherFull64", "likewise, 64 images", onDevices},
	{"SampleFull1", "one-step sampling, that network", anywhere},
	{"SampleFull4", "likewise, four images", onProcessors},
	{"SampleFull64", "likewise, 64 images", onDevices},
	{"Sample512", "one-step sampling, that network grown to 512×512", anywhere},
	{"FirstImage", "process start to first image, each in its default precision", anywhere},
}

// peak is the yardstick, on our side alone.
var peak = work{"Peak", "fastest convolution", anywhere}

type work struct {
	name, title string
	place       place
}

// place is where a work is worth measuring.
type place int

const (
	anywhere place = iota
	onProcessors
	onDevices
)

// suits tells whether the work is to be measured on a device.
func (w work) suits(d torch.Device) bool {
	return w.place == anywhere || (w.place == onProcessors) == (d == torch.CPU)
}

const script = "bench/pytorch.py"

// python is by default Debian's, which package python3-torch belongs to.
var python = "/usr/bin/python3"

// shippedPreset trained the model that `pagoda sample` uses by default.
const shippedPreset = "fashion-mnist"

func main() {
	rounds := flag.Int("rounds", 5, "measurements of each kind, of which the median counts")
	seconds := flag.Duration("time", 2*time.Second, "least duration of one measurement")
	only := flag.String("only", "", "measure only works whose name matches this regular expression")
	flag.StringVar(&python, "python", python, "the Python to compare with")
	flag.Parse()
	if err := run(*rounds, *seconds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, least time.Duration, only string) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	info, err := torch.Describe() // also compiles the binding, and sets the environment that the contestants inherit
	if err != nil {
		return err
	}
	device, err := torch.ParseDevice(cmp.Or(os.Getenv("PAGODA_DEVICE"), torch.CPU.String())) // contestants read it too
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pagoda-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, device: device, least: least, results: map[key]*result{}}
	if out, err := exec.Command("go", "test", "-c", "-o", b.binary(), "./stage").CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the benchmarks: %w\n%s", err, out)
	}
	shareBLAS()
	if b.version, err = pytorch("version"); err == nil {
		if _, err := pytorch("save", shippedPreset, b.weights()); err != nil {
			return err
		}
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, w := range append(works, peak) {
			if !w.suits(device) || !chosen.MatchString(w.name) && w != peak {
				continue
			}
			for _, c := range contestants {
				b.measure(w.name, c)
			}
		}
	}
	fmt.Print(machine(info, b.version))
	fmt.Print(b.table())
	return nil
}

// contestant is an implementation in one precision.
type contestant struct{ engine, precision string }

const goEngine, pyEngine = "Pagoda", "PyTorch"

var contestants = []contestant{
	{goEngine, "bfloat16"}, {goEngine, "float32"}, {pyEngine, "bfloat16"}, {pyEngine, "float32"},
}

func (c contestant) String() string { return c.engine + " " + c.precision }

// bench holds what was measured.
type bench struct {
	dir     string
	device  torch.Device
	least   time.Duration
	version string // of PyTorch, empty when it is not installed
	results map[key]*result
}

type key struct {
	work string
	contestant
}

// result has one value a round in each list.
type result struct {
	milliseconds, gflops, megabytes []float64
	images                          float64 // an operation handles
}

func (b *bench) binary() string  { return filepath.Join(b.dir, "stage.test") }
func (b *bench) weights() string { return filepath.Join(b.dir, "weights.pt") }

// measure runs one contestant once. One that cannot do the work gets no result,
// nor does bfloat16 on processors that emulate it, a hundred times slower.
func (b *bench) measure(name string, c contestant) {
	if c.engine == pyEngine && b.version == "" || c.precision == "bfloat16" && torch.Fastest(b.device) != torch.BFloat16 {
		return
	}
	var command *exec.Cmd
	first := name == "FirstImage"
	switch {
	case first && c.precision != "float32":
		return // each uses its own default
	case first && c.engine == goEngine:
		command = exec.Command("bin/pagoda", "sample", "--n", "1", "--seed", "1", "--device", b.device.String(), "--out", filepath.Join(b.dir, "first.png"))
	case first:
		command = exec.Command(python, script, "first", shippedPreset, b.weights(), filepath.Join(b.dir, "first.pgm"))
	case c.engine == goEngine:
		command = exec.Command(b.binary(), "-test.run", "^$", "-test.bench", "^Benchmark"+name+"$/^"+c.precision+"$",
			"-test.benchtime", b.least.String())
		command.Dir = "stage" // as go test does
	case name == peak.name:
		return
	default:
		command = exec.Command(python, script, name, c.precision, fmt.Sprint(b.least.Seconds()))
	}
	var stderr strings.Builder
	command.Stderr = &stderr
	start := time.Now()
	out, err := command.Output()
	elapsed := time.Since(start)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s, %s: %v: %s\n", name, c, err, lastLine(stderr.String()))
		return
	}
	metrics := parse(string(out))
	if first {
		metrics = map[string]float64{"ns/op": float64(elapsed.Nanoseconds()), "images/op": 1}
	}
	if metrics == nil {
		return
	}
	k := key{name, c}
	if b.results[k] == nil {
		b.results[k] = &result{}
	}
	r := b.results[k]
	r.milliseconds = append(r.milliseconds, metrics["ns/op"]/1e6)
	r.images = metrics["images/op"]
	if rate, ok := metrics["GFLOP/s"]; ok {
		r.gflops = append(r.gflops, rate)
	}
	usage := command.ProcessState.SysUsage().(*syscall.Rusage)
	r.megabytes = append(r.megabytes, float64(usage.Maxrss)/1024) // the kernel counts in KiB
}

// parse reads the metrics of the first line of a benchmark's output that has some.
func parse(output string) map[string]float64 {
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		metrics := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				metrics[fields[i+1]] = v
			}
		}
		return metrics
	}
	return nil
}

func pytorch(args ...string) (string, error) {
	out, err := exec.Command(python, append([]string{script}, args...)...).Output()
	return strings.TrimSpace(string(out)), err
}

// shareBLAS makes children find the OpenBLAS that package torch prefers ahead of the system's default.
func shareBLAS() {
	if found, _ := filepath.Glob("/usr/lib/*/openblas-openmp"); len(found) > 0 {
		os.Setenv("LD_LIBRARY_PATH", strings.Trim(found[0]+":"+os.Getenv("LD_LIBRARY_PATH"), ":"))
	}
}

// machine describes what the numbers were taken on.
func machine(info torch.Info, pytorch string) string {
	cpu := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text); m != nil {
			cpu = string(m[1])
		}
	}
	other := "PyTorch is not installed (Debian: apt-get install python3-torch)"
	if fields := strings.SplitN(pytorch, " ", 3); len(fields) > 1 {
		other = fmt.Sprintf("PyTorch %s (threads: %s)", fields[0], fields[1])
		if len(fields) > 2 {
			cpu = fields[2] + "; " + cpu
		}
	}
	return fmt.Sprintf("%s, %d processors; %s, libtorch %s (threads: %d, OpenBLAS kernel: %s); %s\n\n",
		cpu, runtime.NumCPU(), runtime.Version(), info.Version, info.Threads, info.BLAS, other)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
