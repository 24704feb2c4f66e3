package torch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
