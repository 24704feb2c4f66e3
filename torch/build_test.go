package torch

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

func TestMissingLibtorchIsOneSentence(t *testing.T) {
	t.Setenv("LIBTORCH", t.TempDir())
	_, err := findLibtorch()
	if err == nil || !strings.Contains(err.Error(), "libtorch-dev") || strings.Contains(err.Error(), "\n") {
		t.Fatal(err)
	}
}

func TestMissingCompilerIsOneSentence(t *testing.T) {
	t.Setenv("CXX", "no-such-compiler")
	err := compiler("-c", "x.cpp")
	if err == nil || !strings.Contains(err.Error(), "CXX") || strings.Contains(err.Error(), "\n") {
		t.Fatal(err)
	}
}

func TestSilentCompilerIsNamed(t *testing.T) {
	t.Setenv("CXX", "false")
	err := compiler("-c", "x.cpp")
	if err == nil || !strings.Contains(err.Error(), "the compiler false (CXX names another) failed") {
		t.Fatal(err)
	}
}

func TestNoCacheFolderIsOneSentence(t *testing.T) {
	fakeLibtorch(t)
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	if _, err := engine(); err == nil || !strings.Contains(err.Error(), "set HOME, XDG_CACHE_HOME or PAGODA_ENGINE") {
		t.Fatal(err)
	}
}

// fakeLibtorch is one to find, with a compiler that makes copies of the test's own program.
func fakeLibtorch(t *testing.T) {
	t.Helper()
	root, compiler := t.TempDir(), filepath.Join(t.TempDir(), "c++")
	if err := os.MkdirAll(filepath.Join(root, "include", "ATen"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "include", "ATen", "ATen.h"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in -o) cp '" + os.Args[0] + "' \"$2\";; esac; shift; done\n"
	if err := os.WriteFile(compiler, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LIBTORCH", root)
	t.Setenv("CXX", compiler)
	t.Setenv("PAGODA_ENGINE", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// A process that waits for another says so; an engine that was cut short is
// compiled again; those that nobody has used for long go.
func TestEngineInTheCache(t *testing.T) {
	fakeLibtorch(t)
	read, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer func(real *os.File) { os.Stderr = real }(os.Stderr)
	os.Stderr = stderr
	dir := filepath.Join(os.Getenv("XDG_CACHE_HOME"), "pagoda")
	recent, old := filepath.Join(dir, "engine-1.so"), filepath.Join(dir, "engine-2.so")
	for _, path := range []string{recent, old, filepath.Join(leanFolder(old), "libx.so")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-91 * 24 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	other := flock.New(filepath.Join(dir, "lock"))
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		path string
		err  error
	}
	done := make(chan answer)
	go func() {
		path, err := engine()
		done <- answer{path, err}
	}()
	lines := bufio.NewScanner(read)
	if !lines.Scan() || lines.Text() != "pagoda: waiting for another process that compiles the binding" {
		t.Errorf("while another process compiles: %q", lines.Text())
	}
	if err := other.Unlock(); err != nil {
		t.Fatal(err)
	}
	made := <-done
	if made.err != nil || !whole(made.path) {
		t.Fatal(made)
	}
	for path, want := range map[string]bool{recent: true, old: false, leanFolder(old): false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
	if err := os.Chtimes(made.path, long, long); err != nil {
		t.Fatal(err)
	}
	if path, err := engine(); err != nil || path != made.path {
		t.Fatal(path, err)
	}
	info, err := os.Stat(made.path)
	if err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("a use leaves no trace: %v", err)
	}
	for _, size := range []int64{0, 10, info.Size() / 2, info.Size() - 1} {
		if err := os.Truncate(made.path, size); err != nil {
			t.Fatal(err)
		}
		if path, err := engine(); err != nil || path != made.path || !whole(path) {
			t.Errorf("cut to %d bytes of %d: not compiled again, %v", size, info.Size(), err)
		}
	}
}

// The compilers that run side by side must each get their own file.
func TestBuildCompilesEveryFile(t *testing.T) {
	dir := t.TempDir()
	compiler, log, out := filepath.Join(dir, "c++"), filepath.Join(dir, "log"), filepath.Join(dir, "engine.so")
	script := "#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in -c) basename \"$2\" >>" + log + ";; -o) : >\"$2\";; esac; shift; done\n"
	if err := os.WriteFile(compiler, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CXX", compiler)
	want, err := fs.Glob(shim, "shim/*.cpp")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = filepath.Base(want[i])
	}
	for range 5 {
		if err := (libtorch{include: []string{"/usr/include", "/one"}}).build(out); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(string(text))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("compiled %v, there are %v", got, want)
		}
		os.Remove(log)
	}
}

func TestKeyFollowsLibtorch(t *testing.T) {
	a, err := libtorch{include: []string{"/one"}}.key()
	if err != nil {
		t.Fatal(err)
	}
	b, err := libtorch{include: []string{"/two"}}.key()
	if err != nil || a == b {
		t.Fatalf("%q for both, %v", a, err)
	}
}
