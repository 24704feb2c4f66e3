package torch

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "bridge.h"
// extern char *pagodaRecompute(int64_t id, pg_tensor dy, pg_tensor *x, int n, pg_tensor *dx);
// extern void pagodaForget(int64_t id);
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// ErrUnavailable is in the chain of every error of [Load].
var ErrUnavailable = errors.New("the tensor engine is unavailable")

var load = sync.OnceValue(func() error {
	chooseKernels()
	path, err := engine()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if os.Getenv("LIBTORCH") == "" {
		if lean {
			leanOut(leanFolder(path))
		}
		shareThreads()
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if message := C.pg_open(name); message != nil {
		defer C.free(unsafe.Pointer(message))
		cure := "install libtorch (Debian: apt-get install libtorch-dev) or set LIBTORCH to its folder"
		if os.Getenv("PAGODA_ENGINE") != "" {
			cure = "PAGODA_ENGINE names it: unset it, or compile it anew for this libtorch"
		}
		return fmt.Errorf("%w: %s; %s", ErrUnavailable, C.GoString(message), cure)
	}
	check(C.pg_setup(C.int(runtime.GOMAXPROCS(0)), C.pg_recompute(C.pagodaRecompute), C.pg_forget(C.pagodaForget)), "setup")
	return nil
})

// Load makes the engine ready: it finds libtorch, compiles the binding for it
// the first time (up to a minute and a half, kept in the user's cache folder until
// nothing has loaded it for 90 days) and loads both. LIBTORCH names the folder of
// a libtorch distribution or of Python's torch package; without it the system's
// libtorch is used. PAGODA_ENGINE names a binding compiled before, for machines
// without a compiler. The engine uses GOMAXPROCS threads. NewScope calls Load;
// call it first to handle its error.
func Load() error { return load() }

// chooseKernels cures faults of libraries that read the environment when they
// are loaded: OpenBLAS does not know newer processors and falls back to
// kernels of the 1990s. What the user has set stays.
func chooseKernels() {
	set := func(key, value string) {
		if os.Getenv(key) == "" {
			_ = os.Setenv(key, value) // cgo programs pass this on to C
		}
	}
	switch {
	case cpu.X86.HasAVX512F:
		set("OPENBLAS_CORETYPE", "SkylakeX")
	case cpu.X86.HasAVX2:
		set("OPENBLAS_CORETYPE", "Haswell")
	}
	// Threads that libtorch starts later, for gradients, would not follow what setup tells this one.
	set("OMP_NUM_THREADS", strconv.Itoa(runtime.GOMAXPROCS(0)))
	// By default GCC's OpenMP lets waiting threads spin for milliseconds, on a
	// processor that another program may need to finish first what they wait for.
	if os.Getenv("OMP_WAIT_POLICY") == "" {
		set("GOMP_SPINCOUNT", "3000")
	}
	set("CUBLAS_WORKSPACE_CONFIG", ":4096:8") // with which cuBLAS always adds in the same order
}

// shareThreads loads Debian's OpenMP build of OpenBLAS, where it is installed,
// ahead of libtorch. The default build keeps threads of its own, which spin
// against libtorch's for the same processors.
func shareThreads() {
	for _, name := range []string{"libopenblas.so.0", "libblas.so.3", "liblapack.so.3"} {
		found, _ := filepath.Glob("/usr/lib/*/openblas-openmp/" + name)
		for _, path := range found {
			c := C.CString(path)
			C.pg_preload(c)
			C.free(unsafe.Pointer(c))
		}
	}
}

// Info describes the loaded engine.
type Info struct {
	Version string // of libtorch
	Threads int    // that a loop of the binding runs on
	BLAS    string // kernel OpenBLAS chose; empty for another BLAS
	CUDA    int    // number of CUDA devices
	Config  string // libtorch's description of its build
}

// Describe returns what Load loaded.
func Describe() (Info, error) {
	if err := Load(); err != nil {
		return Info{}, err
	}
	text := make([]C.char, 8192)
	var cuda C.int64_t
	check(C.pg_info(&text[0], C.int64_t(len(text)), &cuda), "info")
	var blas [64]C.char
	C.pg_blas(&blas[0], C.int(len(blas)))
	info := Info{CUDA: int(cuda), BLAS: C.GoString(&blas[0])}
	head := strings.SplitN(C.GoString(&text[0]), "\n", 3)
	_, info.Version, _ = strings.Cut(head[0], " ")
	_, _ = fmt.Sscanf(head[1], "threads %d", &info.Threads)
	info.Config = head[2]
	return info, nil
}
