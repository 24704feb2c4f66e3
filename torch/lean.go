package torch

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"
)

var lean bool

// Lean makes a following [Load] of the system's libtorch leave out the shared
// libraries that libtorch names and takes no symbol from. Debian's names OpenCV
// and with it two hundred more, most of the time that loading takes. Empty
// libraries of the same names take their place in this process: a program that
// uses one of them itself must not call Lean.
func Lean() { lean = true }

// leanFolder is where the empty libraries for an engine are.
func leanFolder(engine string) string { return strings.TrimSuffix(engine, ".so") + ".lean" }

// leanOut puts empty libraries in the place of those that libtorch does not
// use. They are compiled into dir once. Whatever goes wrong, libtorch loads
// without them, only more slowly.
func leanOut(dir string) {
	found, _ := filepath.Glob("/usr/lib/*/libtorch_cpu.so")
	if len(found) == 0 {
		return
	}
	if _, err := os.Stat(dir); err != nil && compileStubs(found[0], dir) != nil {
		return
	}
	stubs, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range stubs {
		c := C.CString(path)
		C.pg_preload(c)
		C.free(unsafe.Pointer(c))
	}
}

// compileStubs fills dir with an empty library for each that the one at path
// names in vain; an interrupted build leaves nothing there.
func compileStubs(path, dir string) error {
	names, err := unused(path)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, name := range names {
		cmd := exec.Command("gcc", "-shared", "-nostdlib", "-x", "c", "/dev/null", "-Wl,-soname,"+name, "-o", filepath.Join(work, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return os.Rename(work, dir)
}

// unused lists the libraries that the one at path names and takes no symbol
// from, and that none of the libraries it does use names.
func unused(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	symbols, err := f.ImportedSymbols()
	if err != nil {
		return nil, err
	}
	imported := map[string]bool{}
	for _, s := range symbols {
		imported[s.Name] = true
	}
	dir := filepath.Dir(path)
	used := map[string]bool{}
	for _, name := range needed {
		if yes, err := provides(filepath.Join(dir, name), imported); yes || err != nil {
			markUsed(dir, name, used)
		}
	}
	return slices.DeleteFunc(needed, func(name string) bool { return used[name] }), nil
}

// markUsed marks a library and those it names.
func markUsed(dir, name string, used map[string]bool) {
	if used[name] {
		return
	}
	used[name] = true
	f, err := elf.Open(filepath.Join(dir, name))
	if err != nil {
		return // found elsewhere, among the system's own
	}
	defer f.Close()
	needed, _ := f.ImportedLibraries()
	for _, n := range needed {
		markUsed(dir, n, used)
	}
}

// provides tells whether a library defines one of the symbols.
func provides(path string, symbols map[string]bool) (bool, error) {
	f, err := elf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	defined, err := f.DynamicSymbols()
	if err != nil {
		return false, err
	}
	for _, s := range defined {
		if s.Section != elf.SHN_UNDEF && symbols[s.Name] {
			return true, nil
		}
	}
	return false, nil
}
