package convert

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Processes of their own import a file, and load what was imported, and say what
// memory they took at their peak. Importing takes at most a quarter more than the
// file's size. Loading takes the weights themselves, the mapped pages of which not
// yet given back (64 MB, and the tensor that is being read), and what the engine
// has taken before: of a file of 1.2 GB these must be less than a quarter.
func TestMemory(t *testing.T) {
	if source := os.Getenv("PAGODA_TEST_IMPORT"); source != "" {
		importing(t, source)
		return
	}
	if path := os.Getenv("PAGODA_TEST_LOAD"); path != "" {
		loading(t, path)
		return
	}
	const full = 1184 // MB: ImageNet 64×64
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
	params := list[0].params
	if err := pytorch.Write(source, randomWeights(params)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(source)
	if err != nil {
		t.Fatal(err)
	}
	size, largest := float64(info.Size())/1e6, 0.
	for _, name := range params.Names() {
		largest = max(largest, 4*float64(nn.Product(params.Shape(name)))/1e6)
	}

	_, peak := measured(t, "PAGODA_TEST_IMPORT="+source)
	t.Logf("importing %.0f MB: %.0f MB", size, peak)
	if peak > 1.25*size {
		t.Errorf("importing %.0f MB took %.0f MB", size, peak)
	}
	base, peak := measured(t, "PAGODA_TEST_LOAD="+source+".safetensors")
	beside := peak - size
	t.Logf("loading %.0f MB: %.0f MB, of which %.0f MB before", size, peak, base)
	if allowed := base + 64*1.05 + 2*largest; beside > allowed {
		t.Errorf("loading took %.0f MB beside the weights, %.0f MB should do", beside, allowed)
	}
	if beside > 0.25*full {
		t.Errorf("loading takes %.0f MB beside the weights, more than a quarter of %d MB", beside, full)
	}
}

// measured runs this test again, as told by the environment: memory in MB, when it
// says that it begins and at its peak.
func measured(t *testing.T, environment string) (base, peak float64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemory$")
	cmd.Env = append(os.Environ(), environment)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, text, _ := strings.Cut(string(out), "memory")
	if _, err := fmt.Sscan(text, &base, &peak); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	return base * 1.024e-3, peak * 1.024e-3
}

// highest is the most memory that the process has had, in kB.
func highest(t *testing.T) (kB float64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(peak, &kB); err != nil {
		t.Skip(err)
	}
	return kB
}

func importing(t *testing.T, source string) {
	base := highest(t)
	n := recognise(t, source, Options{Preset: filepath.Join(filepath.Dir(source), "wide.toml"), Stage: network.Teacher})
	if err := n.Save(source+".safetensors", false); err != nil {
		t.Fatal(err)
	}
	fmt.Println("memory", base, highest(t))
}

func loading(t *testing.T, path string) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	s.Zeros(1)
	base := highest(t)
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := network.Load(s, f); err != nil {
		t.Fatal(err)
	}
	fmt.Println("memory", base, highest(t))
}
