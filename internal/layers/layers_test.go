package layers

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pagoda-go/pagoda"

// order lists the packages from the bottom up. A package may import those of
// the lines above its own, and of its own line none.
var order = [][]string{
	{"torch", "checkpoint"},
	{"nn", "optim", "data", "data/pairs", "checkpoint/pytorch", "features/fetch"},
	{"unet", "edm", "diffusion", "features", "gan"},
	{"network"},
	{"config", "metrics", "models"},
	{"plan", "convert"},
	{"stage"},
	{"."},
	{"eval"},
	{"report", "internal/doctor"},
	{"cmd/pagoda", "bench", "examples/openmoji/measure", "examples/serve"},
}

// helpers serve tests alone.
var helpers = []string{"internal/golden", "internal/layers", "internal/testdevice"}

func TestArrowsPointDown(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := short(fields[0])
		if slices.Contains(helpers, name) {
			continue
		}
		at := height(name)
		if at < 0 {
			t.Errorf("package %s has no place in the order of layers: give it one", name)
			continue
		}
		for _, path := range fields[1:] {
			switch imported := short(path); {
			case path == "C":
				if name != "torch" {
					t.Errorf("%s imports C: only torch may", name)
				}
			case imported == "":
			case slices.Contains(helpers, imported):
				t.Errorf("%s imports %s, which serves tests alone", name, imported)
			case height(imported) >= at:
				t.Errorf("%s imports %s, which is not below it", name, imported)
			}
		}
	}
}

// short is a package's path within the module, "." for the module's own, empty for others' packages.
func short(path string) string {
	if path == module {
		return "."
	}
	name, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	return name
}

// height is the index of a package's line in order, -1 when it has none.
func height(name string) int {
	return slices.IndexFunc(order, func(line []string) bool { return slices.Contains(line, name) })
}
