package torch

import (
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
