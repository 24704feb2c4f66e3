package stage_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// watchedEnv is a run that evaluates its generators every 24 images, by an
// evaluator of its own, whose test split lies in a folder.
func watchedEnv(t *testing.T, name string) *stage.Env {
	t.Helper()
	e := newEnv(t, filepath.Join(t.TempDir(), name), "bfloat16")
	folder := t.TempDir()
	for i, picture := range data.ToImages(e.Data.Pixels[:20*16*16], 20, 1, 16, 16) {
		class := filepath.Join(folder, "test", e.Data.ClassNames[i%10])
		if err := os.MkdirAll(class, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := data.WritePNG(filepath.Join(class, string(rune('a'+i/10))+".png"), picture); err != nil {
			t.Fatal(err)
		}
	}
	e.Config.Data.Source, e.Config.Data.Path = "folder", folder
	e.Config.Evaluator.Images = 640
	e.Config.Watch.Every, e.Config.Watch.Samples = 24, 40
	return e
}

// The evaluations change nothing about the training, and a stopped one comes to the same best weights.
func TestBestIsKept(t *testing.T) {
	ctx := context.Background()
	straight, stopped, unwatched := watchedEnv(t, "straight"), watchedEnv(t, "stopped"), watchedEnv(t, "unwatched")
	unwatched.Config.Watch.Every = 0
	live := torch.LiveTensors()
	for _, s := range stages {
		for _, e := range []*stage.Env{straight, unwatched} {
			if err := s.do(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		interrupt(t, stopped, s.do, 40)
		interrupt(t, stopped, s.do, 64)
		truncateNewest(t, stopped)
		if err := s.do(ctx, stopped); err != nil {
			t.Fatal(err)
		}
		if err := stage.Evaluator(ctx, stopped); err != nil { // or it would be what is stopped below
			t.Fatal(err)
		}
	}
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
	for _, resolution := range []int{8, 16} {
		same(t, straight.Path(stage.GeneratorFile(resolution)), unwatched.Path(stage.GeneratorFile(resolution)))
		same(t, straight.Path(stage.GeneratorFile(resolution)), stopped.Path(stage.GeneratorFile(resolution)))
		same(t, straight.Path(stage.BestFile(resolution)), stopped.Path(stage.BestFile(resolution)))
		name := filepath.Base(stage.GeneratorFile(resolution))
		logged := distances(t, straight, name[:len(name)-len(".safetensors")])
		if again := distances(t, stopped, name[:len(name)-len(".safetensors")]); len(again) != len(logged) {
			t.Errorf("the stopped run has %v in its log, the other %v", again, logged)
		}
		best := int64(0)
		for _, seen := range []int64{24, 48, 72, 96} {
			v, ok := logged[seen]
			if !ok || !(v > 0) {
				t.Errorf("at %d images the log has %v", seen, v)
			}
			if least, ok := logged[best]; !ok || v < least {
				best = seen
			}
		}
		f, err := checkpoint.OpenVerified(straight.Path(stage.BestFile(resolution)))
		if err != nil {
			t.Fatal(err)
		}
		d, err := network.Describe(f)
		if err != nil || d.ImagesSeen != best || d.Architecture.OutputSize() != resolution {
			t.Errorf("the best is of %d images at %d pixels, want %d at %d (%v); %v", d.ImagesSeen, d.Architecture.OutputSize(), best, resolution, err, logged)
		}
		f.Close()
	}
}

// distances are the distances in the log of a stage by the number of images; one that is there twice is NaN.
func distances(t *testing.T, e *stage.Env, name string) map[int64]float64 {
	t.Helper()
	lines, err := e.Run.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]float64{}
	for _, line := range lines {
		var values map[string]float64
		if line.Stage != name || json.Unmarshal(line.Values, &values) != nil {
			continue
		}
		if v, ok := values["fd"]; ok {
			if _, twice := out[line.ImagesSeen]; twice {
				v = math.NaN()
			}
			out[line.ImagesSeen] = v
		}
	}
	return out
}
