package stage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/plan"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// tiny goes from 8 to 16 pixels with networks of 16 channels, 12 steps a stage.
const tiny = `
name = "tiny"
seed = 1
[data]
source = "synthetic"
resolution = 16
channels = 1
mirror = true
mirror_classes = true
[network]
resolution = 8
channels = 16
mult = [1, 1]
res_blocks = 1
attention = [4]
head_channels = 16
groups = 4
[teacher]
images = 192
batch = 16
optimizer = "adam"
lr = 1e-3
ema = 0.99
sigma_mean = -1.2
sigma_std = 1.2
dropout = 0.1
[invert]
images = 96
batch = 16
steps = 3
sigma_start = 0.02
noise = true
[features]
width = 4
images = 192
batch = 16
lr = 1e-3
smoothing = 0.05
shift = 1
[distill]
images = 96
batch = 8
reconstruct = 4
optimizer = "radam"
lr = 1e-3
discriminator_lr = 1e-3
beta2 = 0.99
ema = 0.99
balance = "norms"
lambda = 0.5
heads = 8
gain = 4
augment = { color = true, translation = true, cutout = true }
[[grow]]
resolution = 16
channels = 16
res_blocks = 1
`

// synthetic are images of ten classes: bars of the class's length, place and brightness at random.
func synthetic() *data.Dataset {
	const n, size = 256, 16
	d := &data.Dataset{Name: "synthetic", C: 1, H: size, W: size, Pixels: make([]uint8, n*size*size), Labels: make([]int32, n)}
	for class := range 10 {
		d.ClassNames = append(d.ClassNames, fmt.Sprint(class))
	}
	for i := range n {
		r := diffusion.Random(1, int64(i))
		class := i % 10
		d.Labels[i] = int32(class)
		row, brightness := r.IntN(size-2), uint8(128+r.IntN(128))
		for y := row; y < row+3 && y < size; y++ {
			for x := range class + 4 {
				d.Pixels[(i*size+y)*size+x] = brightness
			}
		}
	}
	return d
}

// newEnv starts a run, or opens the one in dir again.
func newEnv(t *testing.T, dir, precision string) *stage.Env {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	text := fmt.Sprintf("precision = %q\n", precision) + tiny
	c, err := config.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	run, err := checkpoint.CreateRun(dir, []byte(text))
	if errors.Is(err, checkpoint.ErrRunExists) {
		run, err = checkpoint.OpenRun(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run.Close() })
	train := synthetic()
	train.MirrorClasses = c.Data.MirrorClasses
	return &stage.Env{Run: run, Config: c, Data: train, Device: testdevice.Device()}
}

// stages are what leaves files, in order.
var stages = []struct {
	name  string
	do    func(context.Context, *stage.Env) error
	files []string
}{
	{"features", stage.Features, []string{stage.FeaturesFile}},
	{"teacher", stage.Teacher, []string{stage.TeacherFile}},
	{"invert", stage.Invert, []string{stage.PairsDir}},
	{"distill", stage.Distill, []string{stage.GeneratorFile(8), "discriminator-8.safetensors"}},
	{"grow", func(ctx context.Context, e *stage.Env) error { return stage.Grow(ctx, e, 1) },
		[]string{stage.GeneratorFile(16), "discriminator-16.safetensors"}},
}

// interrupt does a stage but stops it once it has seen the given number of images.
func interrupt(t *testing.T, e *stage.Env, do func(context.Context, *stage.Env) error, after int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e.Progress = func(_ string, done, _ int64, _ string) {
		if done >= after {
			cancel()
		}
	}
	defer func() { e.Progress = nil }()
	err := do(ctx, e)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on from here") {
		t.Fatalf("the stopped stage returned %v", err)
	}
}

// A run that is stopped in the middle of every stage ends with the bytes of one
// that never was, in spite of a damaged checkpoint; and no stage leaves a tensor behind.
func TestResumeIsExact(t *testing.T) {
	for _, precision := range []string{"float32", "bfloat16"} {
		t.Run(precision, func(t *testing.T) {
			straight := newEnv(t, filepath.Join(t.TempDir(), "straight"), precision)
			stopped := newEnv(t, filepath.Join(t.TempDir(), "stopped"), precision)
			ctx := context.Background()
			live := torch.LiveTensors()
			alive := func(when string) {
				t.Helper()
				if n := torch.LiveTensors(); n != live {
					t.Errorf("%s leaves %d tensors behind", when, n-live)
					live = n
				}
			}
			for _, s := range stages {
				if err := s.do(ctx, straight); err != nil {
					t.Fatal(err)
				}
				alive(s.name)
				interrupt(t, stopped, s.do, 32)
				interrupt(t, stopped, s.do, 64)
				alive(s.name + ", stopped,")
				truncateNewest(t, stopped)
				if err := s.do(ctx, stopped); err != nil {
					t.Fatal(err)
				}
				for _, file := range s.files {
					same(t, straight.Path(file), stopped.Path(file))
				}
			}
			doneStagesStay(t, stopped)
		})
	}
}

// truncateNewest cuts the checkpoint short that was written last (while inverting, the finished teacher's).
func truncateNewest(t *testing.T, e *stage.Env) {
	t.Helper()
	var newest string
	var written time.Time
	paths, _ := filepath.Glob(e.Path("checkpoints/*"))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.ModTime().After(written) {
			newest, written = path, info.ModTime()
		}
	}
	if err := os.Truncate(newest, 1000); err != nil {
		t.Fatal(err)
	}
}

// same compares a file that a stage left in two runs, or the latents of two stores.
func same(t *testing.T, a, b string) {
	t.Helper()
	var content [2][]byte
	for i, path := range []string{a, b} {
		store, err := pairs.Open(path)
		if err == nil {
			content[i] = checkpoint.FromFloat32s(store.Latents(pairs.Range(0, store.Len()))).Data
			store.Close()
		} else {
			content[i], err = os.ReadFile(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(content[0], content[1]) {
		t.Errorf("%s differs in the stopped run", filepath.Base(a))
	}
}

func doneStagesStay(t *testing.T, e *stage.Env) {
	told := map[string]bool{}
	e.Progress = func(stage string, _, total int64, note string) {
		if told[stage] = true; total > 0 || !strings.HasPrefix(note, "done before: ") {
			t.Errorf("%s is done again", stage)
		}
	}
	for _, s := range stages {
		if err := s.do(context.Background(), e); err != nil {
			t.Error(err)
		}
	}
	if len(told) != len(stages) {
		t.Errorf("only %v say that they are done", told)
	}
}

// Train leaves the pictures of every stage; what a step lacks is said in one sentence.
func TestSamples(t *testing.T) {
	e := newEnv(t, t.TempDir(), "float32")
	ctx := context.Background()
	if err := stage.SampleTeacher(ctx, e); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("samples without a teacher: %v", err)
	}
	live := torch.LiveTensors()
	if err := stage.Train(ctx, e); err != nil {
		t.Fatal(err)
	}
	for file, size := range map[string]image.Point{
		stage.TeacherSamplesFile:      {662, 662},
		stage.SamplesFile(8):          {662, 662},
		stage.SamplesFile(16):         {662, 662},
		stage.ReconstructionsFile(16): {662, 266},
	} {
		f, err := os.Open(e.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(f)
		if err != nil || (image.Point{picture.Width, picture.Height}) != size {
			t.Errorf("%s is %dx%d, want %v (%v)", file, picture.Width, picture.Height, size, err)
		}
		f.Close()
	}
	asPlanned(t, e)
	foreignPairsAreRefused(t, e)
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
}

// foreignPairsAreRefused tries a finished run's pairs with other images, another configuration and another teacher.
func foreignPairsAreRefused(t *testing.T, e *stage.Env) {
	t.Helper()
	ctx := context.Background()
	if err := os.Remove(e.Path(stage.GeneratorFile(8))); err != nil {
		t.Fatal(err)
	}
	refused := func(err error, words string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %q", err, words)
		}
	}
	images, steps := e.Data, e.Config.Invert.Steps
	other := *images
	other.Labels = slices.Clone(images.Labels)
	other.Labels[3] ^= 1
	e.Data = &other
	refused(stage.Distill(ctx, e), "are of other images than")
	refused(stage.Invert(ctx, e), "dataset_sha256 differ")
	e.Data, e.Config.Invert.Steps = images, steps+1
	refused(stage.Invert(ctx, e), "steps differ")
	e.Config.Invert.Steps = steps
	describePairs(t, e, `"teacher_sha256": "....`, `"teacher_sha256": "0000`)
	refused(stage.Distill(ctx, e), "by another teacher than")
}

// A run goes on with the images that it began with, wherever they are.
func TestKeepImages(t *testing.T) {
	e := newEnv(t, t.TempDir(), "float32")
	for range 2 {
		if err := e.KeepImages(); err != nil {
			t.Fatal(err)
		}
	}
	other := *e.Data
	other.Name, other.Labels = "elsewhere", slices.Clone(other.Labels)
	e.Data = &other
	if err := e.KeepImages(); err != nil {
		t.Errorf("the same images elsewhere: %v", err)
	}
	other.Labels[0] ^= 1
	if err := e.KeepImages(); err == nil || !strings.Contains(err.Error(), "began with other images") {
		t.Errorf("other labels: %v", err)
	}
}

// describePairs replaces a part of what the run's pairs say about themselves.
func describePairs(t *testing.T, e *stage.Env, pattern, by string) {
	t.Helper()
	path := filepath.Join(e.Path(stage.PairsDir), "pairs.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, regexp.MustCompile(pattern).ReplaceAll(text, []byte(by)), 0o666); err != nil {
		t.Fatal(err)
	}
}

// asPlanned compares the work that the stages counted with what was planned.
func asPlanned(t *testing.T, e *stage.Env) {
	t.Helper()
	stages, err := plan.Of(e.Config, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, err := e.Run.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, line := range log {
		var values struct {
			FLOPs float64 `json:"flops_per_image"`
		}
		if json.Unmarshal(line.Values, &values) == nil && values.FLOPs > 0 {
			counted[line.Stage] = values.FLOPs
		}
	}
	for _, s := range stages {
		if got := counted[s.Name]; math.Abs(got/s.FLOPs-1) > 0.03 {
			t.Errorf("%s took %.4g operations an image, %.4g were planned", s.Name, got, s.FLOPs)
		}
	}
}

// A training loop holds its resident memory once it has warmed up.
func TestMemoryIsFlat(t *testing.T) {
	e := newEnv(t, t.TempDir(), "float32")
	e.Config.Teacher.Images = 300 * int64(e.Config.Teacher.Batch)
	var before, after float64
	e.Progress = func(_ string, done, total int64, _ string) {
		switch done / int64(e.Config.Teacher.Batch) {
		case 100:
			before = resident(t)
		case 300:
			after = resident(t)
		}
	}
	if err := stage.Teacher(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f MB after 100 steps, %.1f MB after 300", before/1024, after/1024)
	if after > 1.02*before {
		t.Errorf("200 steps took the memory from %.1f to %.1f MB", before/1024, after/1024)
	}
}

// resident is the process's memory in kB, after a garbage collection.
func resident(t *testing.T) float64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, line, _ := strings.Cut(string(text), "VmRSS:")
	var kB float64
	if _, err := fmt.Sscan(line, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}
