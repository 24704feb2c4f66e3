package stage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// Every choice of the objective trains stage 2 and a growth, stops and goes on
// exactly, logs what it is about, and leaves no tensor behind.
func TestObjectives(t *testing.T) {
	base := newEnv(t, filepath.Join(t.TempDir(), "base"), "float32")
	for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher, stage.Invert} {
		if err := do(context.Background(), base); err != nil {
			t.Fatal(err)
		}
	}
	const recon, samples, sharing = "reconstruction", "adversarial", "lambda"
	for _, c := range []struct {
		name         string
		change       func(*config.Distill)
		logged, lack []string
	}{
		{"log", func(d *config.Distill) { d.Loss = "log" }, []string{recon, samples, "clamped"}, nil},
		{"squared-norms", func(d *config.Distill) { d.Balance = "squared-norms" }, []string{sharing, "clamped"}, nil},
		{"fixed", func(d *config.Distill) { d.Balance = "" }, []string{sharing, "skipped", "gradient", "gradient_discriminator"}, []string{"clamped"}},
		{"multiscale", func(d *config.Distill) { d.Discriminator = config.MultiScale }, []string{"score_real", "score_fake"}, nil},
		{"unconditional", func(d *config.Distill) { d.Discriminator, d.Unconditional = config.MultiScale, true }, []string{samples}, nil},
		{"reconstruction discriminator", func(d *config.Distill) {
			d.ReconstructionLambda, d.Augment.Reconstructions = 0.3, true
		}, []string{"adversarial_reconstruction", "lambda_reconstruction", "discriminator_reconstruction", "score_real_reconstruction"}, nil},
		{"reconstruction discriminator alone", func(d *config.Distill) {
			d.Lambda, d.ReconstructionLambda, d.Balance = 0, 0.3, ""
		}, []string{"adversarial_reconstruction"}, []string{samples}},
		{"separate", func(d *config.Distill) { d.Separate = true }, []string{recon, samples}, nil},
		{"separate, reconstruction discriminator", func(d *config.Distill) { d.Separate, d.ReconstructionLambda = true, 0.3 }, []string{"score_fake_reconstruction"}, nil},
		{"no reconstruction", func(d *config.Distill) { d.Reconstruct = 0 }, []string{samples}, []string{recon}},
		{"no discriminator", func(d *config.Distill) { d.Lambda = 0 }, []string{recon}, []string{samples, "discriminator"}},
		{"few pairs", func(d *config.Distill) { d.Pairs = 3 }, []string{recon}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			live := torch.LiveTensors()
			var envs [2]*stage.Env
			for i := range envs {
				envs[i] = continued(t, base, func(e *stage.Env) {
					c.change(&e.Config.Distill)
					c.change(&e.Config.Grow[0].Distill)
				})
			}
			straight, stopped := envs[0], envs[1]
			for _, s := range stages[3:] {
				if err := s.do(context.Background(), straight); err != nil {
					t.Fatal(err)
				}
				interrupt(t, stopped, s.do, 32)
				if err := s.do(context.Background(), stopped); err != nil {
					t.Fatal(err)
				}
				for _, file := range s.files {
					same(t, straight.Path(file), stopped.Path(file))
				}
			}
			for _, stage := range []string{"generator-8", "generator-16"} {
				names := logged(t, straight, stage)
				for _, name := range c.logged {
					if !slices.Contains(names, name) {
						t.Errorf("%s logs no %q: %q", stage, name, names)
					}
				}
				for _, name := range c.lack {
					if slices.Contains(names, name) {
						t.Errorf("%s logs %q", stage, name)
					}
				}
			}
			if n := torch.LiveTensors(); n != live {
				t.Errorf("%d tensors are left behind", n-live)
			}
		})
	}
}

// continued is a run of its own that starts where base is, with other settings.
func continued(t *testing.T, base *stage.Env, change func(*stage.Env)) *stage.Env {
	t.Helper()
	e := newEnv(t, filepath.Join(t.TempDir(), "run"), base.Config.Precision)
	for _, file := range []string{stage.FeaturesFile, stage.TeacherFile, stage.PairsDir} {
		if err := copyAll(base.Path(file), e.Path(file)); err != nil {
			t.Fatal(err)
		}
	}
	change(e)
	if err := e.Config.Validate(); err != nil {
		t.Fatal(err)
	}
	return e
}

// copyAll copies a file, or a folder of files.
func copyAll(from, to string) error {
	if info, err := os.Stat(from); err == nil && info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o666)
}

// logged are the names of what a stage logged, all of it finite.
func logged(t *testing.T, e *stage.Env, stage string) (names []string) {
	t.Helper()
	log, err := e.Run.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range log {
		values := map[string]float64{}
		if err := json.Unmarshal(line.Values, &values); err != nil {
			t.Fatal(err)
		}
		for name, v := range values {
			if line.Stage == stage {
				names = append(names, name)
			}
			if math.IsNaN(v) {
				t.Errorf("%s is not a number", name)
			}
		}
	}
	return names
}

// Noise-to-data distillation learns from the teacher's samples instead of from pairs.
func TestTargetIsTheTeacher(t *testing.T) {
	e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
	e.Config.Distill.Target = config.ToTeacher
	for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher, stage.Invert} {
		if err := do(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	live := torch.LiveTensors()
	interrupt(t, e, stage.Distill, 32)
	if err := stage.Distill(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
	if names := logged(t, e, "generator-8"); !slices.Contains(names, "reconstruction") {
		t.Errorf("%q", names)
	}
}

// Pairs that are not numbers end a training with the way back named, and what is
// saved until then has only numbers in it.
func TestBrokenPairs(t *testing.T) {
	e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
	d := &e.Config.Distill
	d.Discriminator, d.ReconstructionLambda, d.Images = config.MultiScale, 0.3, 800
	for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher, stage.Invert} {
		if err := do(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	paths, _ := filepath.Glob(filepath.Join(e.Path(stage.PairsDir), "latents-*"))
	for _, path := range paths {
		breakTensors(t, path)
	}
	interrupt(t, e, stage.Distill, 40)
	c, err := e.Run.LatestCheckpoint("generator-8")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range c.Names() {
		x, err := c.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if x.DType != checkpoint.F32 {
			continue
		}
		values, err := checkpoint.Float32s(x)
		if err != nil || slices.ContainsFunc(values, func(v float32) bool { return v != v }) {
			t.Errorf("the checkpoint's %s has NaN (%v)", name, err)
		}
	}
	if err := stage.Distill(context.Background(), e); err == nil || !strings.HasSuffix(err.Error(), c.Path) {
		t.Errorf("the training ended with %v", err)
	}
}

// breakTensors fills the tensors of a file with NaN.
func breakTensors(t *testing.T, path string) {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := map[string]checkpoint.Tensor{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = bytes.Repeat([]byte{0xff}, len(x.Data))
		tensors[name] = x
	}
	if err := checkpoint.Write(path, tensors, f.Metadata()); err != nil {
		t.Fatal(err)
	}
}

// What a growth freezes stays as it was, whichever block it trains from, and one
// growth may take several doublings.
func TestActivateFrom(t *testing.T) {
	base := newEnv(t, filepath.Join(t.TempDir(), "base"), "float32")
	for _, s := range stages[:4] {
		if err := s.do(context.Background(), base); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name             string
		from, resolution int
		first            string // block of those below that trains, if any, and all after it
	}{
		{"by itself", 0, 16, "output_blocks.2."},
		{"from a block", 3, 16, "output_blocks.3."},
		{"only what is new", 4, 16, ""},
		{"two doublings", 0, 32, "output_blocks.2."},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := continued(t, base, func(e *stage.Env) {
				e.Config.Grow[0].ActivateFrom, e.Config.Grow[0].Resolution = c.from, c.resolution
				e.Config.Data.Resolution = c.resolution
				var err error
				if e.Data, err = e.Data.Pad(c.resolution, c.resolution); err != nil {
					t.Fatal(err)
				}
			})
			describePairs(t, e, base.Data.SHA256(), e.Data.SHA256()) // the same pictures, padded
			for _, file := range []string{stage.GeneratorFile(8), "discriminator-8.safetensors"} {
				if err := copyAll(base.Path(file), e.Path(file)); err != nil {
					t.Fatal(err)
				}
			}
			if err := stage.Grow(context.Background(), e, 1); err != nil {
				t.Fatal(err)
			}
			changed, kept := compare(t, e.Path(stage.GeneratorFile(8)), e.Path(stage.GeneratorFile(c.resolution)))
			trains := func(name string) bool {
				return c.first != "" && strings.HasPrefix(name, "output_blocks.") && name >= c.first
			}
			for _, name := range changed {
				if !trains(name) {
					t.Errorf("%s is frozen and has changed", name)
				}
			}
			for _, name := range kept {
				if trains(name) {
					t.Errorf("%s trains, and its average is what it was", name)
				}
			}
		})
	}
}

// compare names the tensors of a generator that a grown one has otherwise, and those that
// it has alike, the head apart; blocks are in the order in which they run.
func compare(t *testing.T, below, above string) (changed, kept []string) {
	t.Helper()
	var files [2]*checkpoint.File
	for i, path := range []string{below, above} {
		f, err := checkpoint.OpenVerified(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	for _, name := range slices.Sorted(slices.Values(files[0].Names())) { // input_, label_, middle_, output_, time_
		if strings.HasPrefix(name, "out.") {
			continue
		}
		a, err := files[0].Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := files[1].Tensor(name); err != nil || !slices.Equal(a.Data, b.Data) {
			changed = append(changed, name)
		} else {
			kept = append(kept, name)
		}
	}
	return changed, kept
}
