package report

import (
	"image"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/eval"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// A finished run, made up, becomes one file that needs no other.
func TestWrite(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	run, err := checkpoint.CreateRun(filepath.Join(t.TempDir(), "run"), text)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	e := &stage.Env{Run: run, Config: c, Device: testdevice.Device(), Data: &data.Dataset{
		Name: "made <up>", C: 1, H: 32, W: 32, Pixels: make([]uint8, 32*32), Labels: []int32{0}, ClassNames: make([]string, 10),
	}}
	if _, err := Write(e); err == nil || !strings.Contains(err.Error(), "no scores") {
		t.Errorf("a report without scores: %v", err)
	}
	for _, line := range []struct {
		stage  string
		seen   int64
		values map[string]float64
	}{
		{"teacher", 128, map[string]float64{"loss": 1, "flops_per_image": 2e9}},
		{"teacher", 1000, map[string]float64{"seconds": 30, "images": 1000}},
		{"teacher", 1280, map[string]float64{"loss": 0.5}},
		{"teacher", 3000, map[string]float64{"seconds": 40, "images": 2000}},
		{"invert", 100, map[string]float64{"mean": 0.01, "std": 0.987, "kurtosis": 3.1, "round_trip_rmse": 0.02}},
		{"generator-16", 64, map[string]float64{"reconstruction": 1, "skipped": 1, "clamped": 0, "lambda": 1, "gradient": 0}},
		{"generator-16", 640, map[string]float64{"reconstruction": 1, "skipped": 0.5, "clamped": 0.25}},
		{"generator-16", 640, map[string]float64{"fd": 3}},
		{"generator-32", 64, map[string]float64{"reconstruction": 1, "adversarial": 0, "discriminator": 1, "skipped": 0}},
		{"generator-32", 128, map[string]float64{"score_real": 1, "score_fake": -1, "gradient": 20, "gradient_discriminator": 0.1, "skipped": 0}},
	} {
		if err := run.Log(line.stage, line.seen, line.values); err != nil {
			t.Fatal(err)
		}
	}
	files := []string{stage.TeacherSamplesFile}
	for n := range len(c.Grow) + 1 {
		size := c.Generator(n).OutputSize()
		files = append(files, stage.SamplesFile(size), stage.ReconstructionsFile(size))
	}
	for _, file := range files {
		if err := data.WritePNG(e.Path(file), image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
			t.Fatal(err)
		}
	}
	scores := `{"models": [{"model": "generator", "resolution": 32, "floor": {},
		"generated": {"figures": [{"key": "accuracy", "mean": 0.815}], "protocol": {"count": 2000, "network": {"name": "judge", "sha256": "0123"}}}}]}`
	if err := os.WriteFile(e.Path(eval.ScoresFile), []byte(scores), 0o666); err != nil {
		t.Fatal(err)
	}

	path, err := Write(e)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	html := string(content)
	for _, want := range []string{
		"made &lt;up&gt;", "81.5 %", "0.987", "1m10s", "<td>3000<td>", "<td>6</tfoot>", "17.6 times as much", "2000 of", "judge, sha256 0123", "name = &#34;demo&#34;",
		"<td>Growth to 16 px<td>55.0 %<td>22.5 %", "<td>Growth to 32 px<td>0.0 %<td>–", "<tfoot><tr><td>All<td>45.8 %<td>22.5 %",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, source := range regexp.MustCompile(`(src|href)="[^"]{0,10}`).FindAllString(html, -1) {
		if !strings.HasPrefix(source, `src="data:`) {
			t.Errorf("the report needs another file: %s", source)
		}
	}
	if strings.Contains(html, "classifier of the same images") {
		t.Error("the report speaks of a feature network that was not trained")
	}
	if err := run.Log("features", 128, map[string]float64{"loss": 2}); err != nil {
		t.Fatal(err)
	}
	if p, err := newPage(e); err != nil || p.Stages[0].Title != "Feature network" {
		t.Errorf("the first stage is %v (%v)", p.Stages[0].Title, err)
	}
	// Losses of the teacher; losses, λ without gradients of 0, and distances at 16; losses, scores and gradients at 32.
	if n := strings.Count(html, "data:image/svg"); n != 1+3+3 {
		t.Errorf("there are %d charts, want 7", n)
	}
	for caption, want := range map[string]int{"Losses": 3, "Mean scores": 1, "Norms of": 2, "Fréchet distance of the averaged": 1} {
		if n := strings.Count(html, "<figcaption>"+caption); n != want {
			t.Errorf("%d charts of %q, want %d", n, caption, want)
		}
	}
}
