package metrics

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pagoda-go/pagoda/torch"
)

// The size at which papers report precision and recall. NumPy and this package
// take turns in the same run; the figures must agree. Reported are the medians of
// both times, their ratio, and the most memory either took beside the features:
//
//	go test ./metrics -run '^$' -bench PrecisionRecall -benchtime 3x
func BenchmarkPrecisionRecall10000x2048(b *testing.B) {
	const n, d, k = 10_000, 2048, PrecisionRecallK
	fatal(b, torch.Load()) // NumPy gets the same choice of BLAS kernels and threads
	real, generated := normal(1, n, d, 0.4, 0.5), normal(2, n, d, 0.41, 0.49)
	numpy := startNumPy(b, real, generated, k)
	var ours, theirs []float64
	var memory, theirMemory float64
	b.ResetTimer()
	for b.Loop() {
		before := peakMemory(b)
		start := time.Now()
		precision, recall, err := PrecisionRecall(real, generated, k)
		fatal(b, err)
		ours = append(ours, time.Since(start).Seconds())
		memory = max(memory, status(b, "VmHWM:")-before)
		if numpy == nil {
			continue
		}
		answer := numpy(b)
		theirs, theirMemory = append(theirs, answer[2]), max(theirMemory, answer[3])
		// Distances in float32 decide a few of the closest cases otherwise.
		if math.Abs(precision-answer[0]) > 1e-3 || math.Abs(recall-answer[1]) > 1e-3 {
			b.Fatalf("precision %v, recall %v; NumPy %v, %v", precision, recall, answer[0], answer[1])
		}
		b.ReportMetric(precision, "precision")
		b.ReportMetric(recall, "recall")
	}
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(median(ours), "s")
	b.ReportMetric(memory/1e6, "MB")
	if numpy != nil {
		b.ReportMetric(median(theirs), "numpy-s")
		b.ReportMetric(theirMemory/1e6, "numpy-MB")
		b.ReportMetric(median(theirs)/median(ours), "times-as-fast")
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// startNumPy starts the Python side; nil where there is no NumPy.
func startNumPy(b *testing.B, real, generated Features, k int) func(b *testing.B) [4]float64 {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		b.Log("no python3 with numpy to compare with")
		return nil
	}
	args := []string{"testdata/precision_recall.py"}
	for i, f := range []Features{real, generated} {
		path := filepath.Join(b.TempDir(), fmt.Sprint(i))
		file, err := os.Create(path)
		fatal(b, err)
		fatal(b, binary.Write(file, binary.LittleEndian, f.Values))
		fatal(b, file.Close())
		args = append(args, path)
	}
	c := exec.Command(python, append(args, strconv.Itoa(real.D), strconv.Itoa(k))...)
	c.Stderr = os.Stderr
	ask, err := c.StdinPipe()
	fatal(b, err)
	out, err := c.StdoutPipe()
	fatal(b, err)
	fatal(b, c.Start())
	b.Cleanup(func() {
		_ = ask.Close()
		fatal(b, c.Wait())
	})
	lines := bufio.NewScanner(out)
	lines.Scan() // it is ready
	return func(b *testing.B) (answer [4]float64) {
		_, err := fmt.Fprintln(ask)
		fatal(b, err)
		if !lines.Scan() {
			b.Fatal("NumPy's side ended")
		}
		_, err = fmt.Sscan(lines.Text(), &answer[0], &answer[1], &answer[2], &answer[3])
		fatal(b, err)
		return answer
	}
}

// peakMemory forgets the peak so far and returns the memory in use.
func peakMemory(b *testing.B) float64 {
	fatal(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
	return status(b, "VmRSS:")
}

// status is a size from /proc/self/status, in bytes.
func status(b *testing.B, field string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	fatal(b, err)
	_, rest, _ := strings.Cut(string(text), field)
	var kilobytes float64
	_, err = fmt.Sscan(rest, &kilobytes)
	fatal(b, err)
	return 1024 * kilobytes
}
