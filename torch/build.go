package torch

import (
	"crypto/sha256"
	"debug/elf"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"
)

//go:embed shim
var shim embed.FS

// libtorch is the installation the shim is compiled against.
type libtorch struct {
	include []string
	lib     string // folder of the libraries; empty for the linker's own
}

// findLibtorch looks where LIBTORCH says, or in the system's folders.
func findLibtorch() (libtorch, error) {
	root := os.Getenv("LIBTORCH")
	lib := ""
	if root != "" {
		lib = filepath.Join(root, "lib")
	} else {
		root = "/usr"
	}
	l := libtorch{include: []string{filepath.Join(root, "include"), filepath.Join(root, "include/torch/csrc/api/include")}, lib: lib}
	if _, err := os.Stat(filepath.Join(l.include[0], "ATen/ATen.h")); err != nil {
		return l, fmt.Errorf("no libtorch in %s: install it (Debian: apt-get install libtorch-dev) or set LIBTORCH to its folder", root)
	}
	return l, nil
}

// flags are the compiler's arguments for this libtorch.
func (l libtorch) flags() (compile, link []string) {
	compile = []string{"-std=c++17", "-O3", "-march=native", "-fPIC", "-fno-math-errno", "-fno-trapping-math", openMP()}
	for _, dir := range l.include {
		if dir != "/usr/include" { // the compiler's own, whose place in the order matters
			compile = append(compile, "-isystem", dir)
		}
	}
	link = []string{"-shared", "-Wl,--no-as-needed"}
	if l.lib == "" {
		return compile, append(link, "-ltorch", "-ltorch_cpu", "-lc10")
	}
	link = append(link, "-L"+l.lib, "-Xlinker", "-rpath", "-Xlinker", l.lib, "-ltorch", "-ltorch_cpu", "-lc10")
	if _, err := os.Stat(filepath.Join(l.lib, "libtorch_cuda.so")); err == nil {
		link = append(link, "-ltorch_cuda", "-lc10_cuda")
	}
	if !newStringABI(filepath.Join(l.lib, "libc10.so")) {
		compile = append(compile, "-D_GLIBCXX_USE_CXX11_ABI=0")
	}
	return compile, link
}

// openMP is the flag that makes loops of the shim parallel. Nothing is linked for it:
// GCC's calls find the OpenMP library that libtorch itself brought, and so its
// threads. Clang's would need another library; its loops stay on one thread.
func openMP() string {
	if strings.Contains(os.Getenv("CXX"), "clang") {
		return "-fopenmp-simd"
	}
	return "-fopenmp"
}

// newStringABI tells whether a library was built with C++11's std::string, as all but older Python wheels are.
func newStringABI(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	for _, s := range symbols {
		if strings.Contains(s.Name, "__cxx11") {
			return true
		}
	}
	return err != nil
}

// engine returns the path of the compiled shim, compiling it when it is not in the cache.
func engine() (string, error) {
	if path := os.Getenv("PAGODA_ENGINE"); path != "" {
		return path, nil
	}
	l, err := findLibtorch()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the compiled binding: set HOME, XDG_CACHE_HOME or PAGODA_ENGINE (%w)", err)
	}
	dir := filepath.Join(cache, "pagoda")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("no folder for the compiled binding: %w", err)
	}
	key, err := l.key()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "engine-"+key+".so")
	if whole(path) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // see removeUnused
		return path, nil
	}
	lock := flock.New(filepath.Join(dir, "lock")) // processes started together compile once
	free, err := lock.TryLock()
	if err == nil && !free {
		fmt.Fprintln(os.Stderr, "pagoda: waiting for another process that compiles the binding")
		err = lock.Lock()
	}
	if err != nil {
		return "", fmt.Errorf("no lock for the compiled binding: %w", err)
	}
	defer lock.Unlock()
	if whole(path) { // another process has compiled it meanwhile
		return path, nil
	}
	if err := l.build(path); err != nil {
		return "", err
	}
	removeUnused(path)
	return path, nil
}

// whole tells whether a library is there and was not cut short, as by a power failure.
func whole(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Sections, func(s *elf.Section) bool {
		return s.Type != elf.SHT_NOBITS && s.Offset+s.FileSize > uint64(info.Size())
	})
}

// removeUnused removes the engines beside the one at path that nothing has
// loaded for 90 days: those of other versions, and what was compiled for them.
func removeUnused(path string) {
	engines, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "engine-*.so"))
	for _, other := range engines {
		if info, err := os.Stat(other); err == nil && other != path && time.Since(info.ModTime()) > 90*24*time.Hour {
			_ = os.Remove(other)
			_ = os.RemoveAll(leanFolder(other))
		}
	}
}

// key changes with everything the compiled shim depends on: source, flags, libtorch, processor.
func (l libtorch) key() (string, error) {
	h := sha256.New()
	compile, link := l.flags()
	fmt.Fprintln(h, compile, link, os.Getenv("CXX"))
	if library, err := os.Stat(filepath.Join(l.include[0], "ATen/ATen.h")); err == nil {
		fmt.Fprintln(h, library.ModTime().Unix(), library.Size())
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if strings.HasPrefix(line, "flags") {
				fmt.Fprintln(h, line)
				break
			}
		}
	}
	err := fs.WalkDir(shim, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := shim.ReadFile(name)
		h.Write(data)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), err
}

// build compiles the shim to path; an interrupted build leaves nothing there.
func (l libtorch) build(path string) error {
	fmt.Fprintln(os.Stderr, "pagoda: compiling the binding to libtorch (once, up to a minute and a half)")
	dir, err := os.MkdirTemp(filepath.Dir(path), "build-")
	if err != nil {
		return fmt.Errorf("compiling the binding: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, shim); err != nil {
		return fmt.Errorf("compiling the binding: %w", err)
	}
	sources, err := fs.Glob(shim, "shim/*.cpp")
	if err != nil {
		return err
	}
	compile, link := l.flags()
	header := filepath.Join(dir, "shim", "shim.hpp") // GCC takes the compiled one beside it
	if err := compiler(slices.Concat(compile, []string{"-x", "c++-header", header, "-o", header + ".gch"})...); err != nil {
		return err
	}
	var compilers errgroup.Group
	compilers.SetLimit(runtime.NumCPU()) // each takes 300 MB
	objects := make([]string, len(sources))
	for i, source := range sources {
		source = filepath.Join(dir, source)
		objects[i] = strings.TrimSuffix(source, ".cpp") + ".o"
		compilers.Go(func() error { // Concat copies: the flags are shared
			return compiler(slices.Concat(compile, []string{"-c", source, "-o", objects[i]})...)
		})
	}
	if err := compilers.Wait(); err != nil {
		return err
	}
	temporary := filepath.Join(dir, "engine.so")
	if err := compiler(slices.Concat([]string{"-o", temporary}, objects, link)...); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func compiler(args ...string) error {
	cxx := os.Getenv("CXX")
	if cxx == "" {
		cxx = "g++"
	}
	out, err := exec.Command(cxx, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("no C++ compiler %q: install one (Debian: apt-get install g++) or set CXX", cxx)
	}
	if err != nil {
		reason := ""
		for line := range strings.Lines(string(out)) {
			problem := strings.Contains(line, "error") || strings.Contains(line, "ld: ")
			if reason == "" && problem && !strings.HasPrefix(line, "collect2") { // which only says that there was one
				reason = strings.TrimSpace(line)
			}
		}
		if reason == "" {
			reason = "it does not say why"
		}
		return fmt.Errorf("compiling the binding to libtorch: the compiler %s (CXX names another) failed: %w: %s", cxx, err, reason)
	}
	return nil
}
