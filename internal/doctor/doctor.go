// Package doctor examines the engine and the machine it runs on: what is
// loaded, how fast it is and how fast it could be, what is wrong and what
// cures it.
package doctor

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"github.com/pagoda-go/pagoda/torch"
)

// Report is what an examination found.
type Report struct {
	Engine   torch.Info
	Libtorch string // path of the library in use
	BLAS     string // likewise; empty when it is part of libtorch
	NVIDIA   bool   // there is an NVIDIA GPU, whether or not libtorch can use it
	Machine  Machine
	Speeds   []Speed
}

// Examine loads the engine and measures it, which takes some two seconds on an
// idle machine. Its errors are those of torch.Load.
func Examine() (r Report, err error) {
	defer torch.Recover(&err)
	if r.Engine, err = torch.Describe(); err != nil {
		return r, err
	}
	files := mappedFiles()
	r.Libtorch = first(files, "libtorch_cpu")
	r.BLAS = first(files, "libopenblas", "libmkl", "libblis", "libblas")
	_, err = os.Stat("/dev/nvidia0")
	r.NVIDIA = err == nil
	r.Machine = thisMachine()
	r.Speeds = measure(r.Machine)
	return r, nil
}

// mappedFiles are the libraries in this process.
func mappedFiles() []string {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil // not Linux
	}
	defer maps.Close()
	var files []string
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if slash := strings.IndexByte(lines.Text(), '/'); slash >= 0 {
			files = append(files, lines.Text()[slash:])
		}
	}
	return files
}

// first is the first file whose name begins with a prefix, the first prefix that has one.
func first(files []string, prefixes ...string) string {
	for _, prefix := range prefixes {
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), prefix) {
				return file
			}
		}
	}
	return ""
}
