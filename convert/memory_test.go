package convert

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
)

// Importing a file takes at most a quarter more memory than the file's size: a
// process of its own does it and says what it took at its peak.
func TestMemory(t *testing.T) {
	if path := os.Getenv("PAGODA_TEST_IMPORT"); path != "" {
		n := recognise(t, path, Options{Preset: filepath.Join(filepath.Dir(path), "wide.toml"), Stage: network.Teacher})
		if err := n.Save(path+".safetensors", false); err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip(err)
		}
		_, peak, _ := strings.Cut(string(status), "VmHWM:")
		fmt.Println("peak", peak)
		return
	}
	dir := t.TempDir()
	preset, source := filepath.Join(dir, "wide.toml"), filepath.Join(dir, "wide.pt")
	wide := strings.NewReplacer("channels = 8\nmult", "channels = 224\nmult", "mult = [1, 2]", "mult = [3, 4]").Replace(tiny)
	if err := os.WriteFile(preset, []byte(wide), 0o666); err != nil {
		t.Fatal(err)
	}
	list, err := candidates(Options{Preset: preset, Stage: network.Teacher}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := pytorch.Write(source, randomWeights(list[0].params)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(source)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemory$")
	cmd.Env = append(os.Environ(), "PAGODA_TEST_IMPORT="+source)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, text, _ := strings.Cut(string(out), "peak")
	var kB float64
	if _, err := fmt.Sscan(text, &kB); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	peak, size := 1024*kB/1e6, float64(info.Size())/1e6
	t.Logf("%.0f MB for a file of %.0f MB", peak, size)
	if peak > 1.25*size {
		t.Errorf("importing %.0f MB took %.0f MB", size, peak)
	}
}
