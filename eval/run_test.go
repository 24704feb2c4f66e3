package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// tiny goes from 8 to 16 pixels.
const tiny = `
name = "tiny"
seed = 1
precision = "float32"
[data]
source = "folder"
resolution = 16
channels = 1
mirror = true
mirror_classes = true
[network]
resolution = 8
channels = 8
mult = [1]
res_blocks = 1
head_channels = 8
groups = 4
[teacher]
images = 16
batch = 16
optimizer = "adam"
lr = 1e-3
sigma_std = 1.2
[invert]
images = 16
batch = 16
steps = 2
sigma_start = 0.02
[features]
width = 4
images = 16
batch = 16
lr = 1e-3
[distill]
images = 16
batch = 8
reconstruct = 4
optimizer = "adam"
lr = 1e-3
discriminator_lr = 1e-3
lambda = 0.5
heads = 8
[[grow]]
resolution = 16
channels = 8
res_blocks = 1
[evaluator]
images = 64
`

// finishedRun is a run whose networks have random weights.
func finishedRun(t *testing.T) *stage.Env {
	t.Helper()
	fatal(t, torch.Load())
	folder := t.TempDir()
	fatal(t, os.Rename(writeFolder(t, noise(1, 60, 1, 16), 60, 1, 16), filepath.Join(folder, "train")))
	fatal(t, os.Rename(writeFolder(t, noise(2, 50, 1, 16), 50, 1, 16), filepath.Join(folder, "test")))
	text := fmt.Sprintf("%s\n", tiny)
	c, err := config.Parse([]byte(text))
	fatal(t, err)
	c.Data.Path = folder
	run, err := checkpoint.CreateRun(filepath.Join(t.TempDir(), "run"), []byte(text))
	fatal(t, err)
	t.Cleanup(func() { run.Close() })
	train, err := stage.Images(c.Data, data.Train)
	fatal(t, err)
	e := &stage.Env{Run: run, Config: c, Data: train, Device: testdevice.Device()}
	fatal(t, stage.Evaluator(t.Context(), e))
	for n := range 3 {
		saveGenerator(t, e, n, uint64(n))
	}
	return e
}

// saveGenerator gives the teacher (0) or a generator of a run random weights.
func saveGenerator(t *testing.T, e *stage.Env, n int, seed uint64) {
	t.Helper()
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	params := nn.NewParams(s, seed)
	d := network.Description{Stage: network.Generator, Architecture: e.Config.Generator(max(n-1, 0)).WithClasses(e.Data.Classes()), ClassNames: e.Data.ClassNames, MirrorClasses: true, ImagesSeen: 16}
	if n == 0 {
		d.Stage = network.Teacher
	}
	_, err := network.New(params.Root(), d.Architecture)
	fatal(t, err)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, p := range params.Tensors() { // also those that begin as zeros
		values := p.Float32s()
		for i := range values {
			values[i] += float32(r.NormFloat64()) / 10
		}
		p.WriteFloat32(values)
	}
	file := []string{stage.TeacherFile, stage.GeneratorFile(8), stage.GeneratorFile(16)}[n]
	fatal(t, network.Save(e.Path(file), params, d))
}

// A run's scores are what Evaluate says of the same images.
func TestScoreRun(t *testing.T) {
	e := finishedRun(t)
	live := torch.LiveTensors()
	seen := int64(0)
	e.Progress = func(_ string, done, total int64, _ string) {
		if seen = done; done > total {
			t.Errorf("%d of %d images", done, total)
		}
	}
	fatal(t, ScoreRun(t.Context(), e))
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
	const count = 2 * scoredPerClass
	if want := int64(3*count + 2*(60+50)); seen != want {
		t.Errorf("%d images were seen, want %d", seen, want)
	}
	scores, err := ReadScores(e)
	fatal(t, err)
	if len(scores.Models) != 3 || scores.Models[0].Model != "teacher" || scores.Models[0].Evaluations != 3 || scores.Models[1].Resolution != 8 {
		t.Fatalf("%+v", scores.Models)
	}
	last := scores.Models[2]
	if p := last.Generated.Protocol; p.Samples.Model.Kind != "EMA" || len(p.Samples.Model.SHA256) != 64 || p.Count != count || len(p.Seeds) != 1 || last.Floor.Protocol.Count != 60 {
		t.Errorf("%+v", p)
	}

	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	samplers, err := e.Samplers(s)
	fatal(t, err)
	pixels, labels, err := newSamplerSource(samplers[2], e.Data.ClassNames).Read(t.Context(), 0, count)
	fatal(t, err)
	name := filepath.Join(t.TempDir(), "images.npz")
	wide := make([]int64, count)
	for i, l := range labels {
		wide[i] = int64(l)
	}
	fatal(t, data.WriteNPZ(name, pixels, count, 16, 16, 1, wide))
	judge := opened(t, e.Path(stage.EvaluatorFile), "")
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: judge}, Samples: name, Real: filepath.Join(e.Config.Data.Path, "test"), Repeats: 1})
	fatal(t, err)
	for _, f := range r.Figures {
		if got := last.Generated.Figure(f.Key).Mean; !(math.Abs(got-f.Mean) <= 0.01*math.Abs(f.Mean)) {
			t.Errorf("%s is %v in the run's scores, %v to Evaluate", f.Key, got, f.Mean)
		}
	}
	lines, err := e.Run.ReadLog()
	fatal(t, err)
	if n := len(lines); n < 2 || lines[n-1].Stage != "eval" || lines[n-2].Stage != "eval" || n > 2 && lines[n-3].Stage == "eval" {
		t.Errorf("the log has %+v", lines)
	}

	e.Progress = func(string, int64, int64, string) { t.Error("scored again") }
	fatal(t, ScoreRun(t.Context(), e))

	e.Progress = nil
	small := readFile(t, e.Path(stage.GeneratorFile(8)))
	saveGenerator(t, e, 1, 99)
	if readFile(t, e.Path(stage.GeneratorFile(8))) == small {
		t.Fatal("the weights are the same")
	}
	fatal(t, ScoreRun(t.Context(), e))
	again, err := ReadScores(e)
	fatal(t, err)
	if again.Models[1].Generated.Figure("fd").Mean == scores.Models[1].Generated.Figure("fd").Mean {
		t.Error("other weights have the old scores")
	}
}

func TestScoreRunRefuses(t *testing.T) {
	e := finishedRun(t)
	e.Config.Evaluator.Images = 0
	wantError(t, ScoreRun(t.Context(), e), "evaluator.images")
	e.Config.Evaluator.Images = 1
	fatal(t, os.RemoveAll(filepath.Join(e.Config.Data.Path, "test")))
	wantError(t, ScoreRun(t.Context(), e), "scores need a test split")
	_, err := ReadScores(e)
	wantError(t, err, "the run has no scores")
}
