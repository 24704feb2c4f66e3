package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newRun starts a run that the test's end closes.
func newRun(t *testing.T) *Run {
	t.Helper()
	r, err := CreateRun(filepath.Join(t.TempDir(), "runs", "demo"), []byte("preset = \"demo\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// reopen closes the run, lets change spoil it, and opens it again.
func reopen(t *testing.T, r *Run, change func()) *Run {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	change()
	r, err := OpenRun(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func save(t *testing.T, r *Run, stage string, imagesSeen int64) {
	t.Helper()
	tensors := map[string]Tensor{"w": FromFloat32s([]float32{float32(imagesSeen)}, 1)}
	if err := r.SaveCheckpoint(stage, imagesSeen, tensors); err != nil {
		t.Fatal(err)
	}
}

func latest(t *testing.T, r *Run, stage string, imagesSeen int64) (note string) {
	t.Helper()
	c, err := r.LatestCheckpoint(stage)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := c.Tensor("w")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := Float32s(w); c.ImagesSeen != imagesSeen || v[0] != float32(imagesSeen) {
		t.Errorf("latest is at %d with %v, want %d", c.ImagesSeen, v, imagesSeen)
	}
	return c.Note
}

func TestRun(t *testing.T) {
	r := newRun(t)
	if config, err := r.Config(); err != nil || string(config) != "preset = \"demo\"\n" {
		t.Errorf("config %q, %v", config, err)
	}
	for _, open := range map[string]func() (*Run, error){
		"OpenRun":   func() (*Run, error) { return OpenRun(r.Dir) },
		"CreateRun": func() (*Run, error) { return CreateRun(r.Dir, nil) },
	} {
		if _, err := open(); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), r.Dir) {
			t.Errorf("second opening: %v, want %v and the folder", err, ErrLocked)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRun(r.Dir, []byte("other")); !errors.Is(err, ErrRunExists) {
		t.Errorf("CreateRun on a run: %v, want %v", err, ErrRunExists)
	}
	r = reopen(t, r, func() {})
	if config, _ := r.Config(); string(config) != "preset = \"demo\"\n" {
		t.Errorf("config %q after reopening", config)
	}
}

func TestOpenRunWithoutRun(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenRun(dir); !errors.Is(err, ErrNoRun) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want %v and the folder", err, ErrNoRun)
	}
	only(t, dir)
}

// A process killed before it wrote the configuration leaves a folder in which the run can be started.
func TestCreateRunAgain(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{lockName, ".pagoda-00.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := CreateRun(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}

func TestCheckpointsKeepTwo(t *testing.T) {
	r := newRun(t)
	if _, err := r.LatestCheckpoint("teacher"); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("%v, want %v", err, ErrNoCheckpoint)
	}
	for _, seen := range []int64{0, 999, 2000, 10000} {
		save(t, r, "teacher", seen)
		save(t, r, "grow-16", seen/2)
	}
	only(t, filepath.Join(r.Dir, checkpointsName),
		"grow-16-000000001000.safetensors", "grow-16-000000005000.safetensors",
		"teacher-000000002000.safetensors", "teacher-000000010000.safetensors")
	if note := latest(t, r, "teacher", 10000); note != "" {
		t.Errorf("note %q", note)
	}
	latest(t, r, "grow-16", 5000)
	if _, err := r.LatestCheckpoint("grow"); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("%v, want %v", err, ErrNoCheckpoint)
	}
	if err := r.SaveCheckpoint("../x", 1, nil); !errors.Is(err, ErrStage) {
		t.Errorf("%v, want %v", err, ErrStage)
	}
}

func TestDamagedCheckpoints(t *testing.T) {
	r := newRun(t)
	save(t, r, "teacher", 1000)
	save(t, r, "teacher", 2000)
	newest, older := r.checkpointPath("teacher", 2000), r.checkpointPath("teacher", 1000)

	spoil := func(path string) {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file[len(file)-1] ^= 1
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r = reopen(t, r, func() { spoil(newest) })
	if note := latest(t, r, "teacher", 1000); !strings.Contains(note, newest) || strings.Contains(note, "\n") {
		t.Errorf("note %q should name %s", note, newest)
	}
	r = reopen(t, r, func() {
		if err := os.Truncate(newest, 100); err != nil {
			t.Fatal(err)
		}
	})
	latest(t, r, "teacher", 1000)

	// Going on from the older one, the damaged one must not count as the newest.
	save(t, r, "teacher", 1500)
	only(t, filepath.Dir(newest), filepath.Base(older), "teacher-000000001500.safetensors")
	if note := latest(t, r, "teacher", 1500); note != "" {
		t.Errorf("note %q", note)
	}

	spoil(older)
	spoil(r.checkpointPath("teacher", 1500))
	_, err := r.LatestCheckpoint("teacher")
	if !errors.Is(err, ErrAllDamaged) || !errors.Is(err, ErrChecksum) || errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("%v, want %v", err, ErrAllDamaged)
	}
}

func TestOpenRunRemovesTemporary(t *testing.T) {
	r := newRun(t)
	save(t, r, "teacher", 1)
	checkpoints := filepath.Join(r.Dir, checkpointsName)
	r = reopen(t, r, func() {
		for _, folder := range []string{r.Dir, checkpoints} {
			if err := os.WriteFile(filepath.Join(folder, ".pagoda-0f.tmp"), []byte("half"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	})
	only(t, r.Dir, checkpointsName, configName, lockName)
	only(t, checkpoints, "teacher-000000000001.safetensors")
}

// lines returns the log as "stage:imagesSeen".
func lines(t *testing.T, r *Run) []string {
	t.Helper()
	entries, err := r.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, fmt.Sprintf("%s:%d", e.Stage, e.ImagesSeen))
	}
	return lines
}

func TestLog(t *testing.T) {
	r := newRun(t)
	if got := lines(t, r); len(got) != 0 {
		t.Errorf("a new run has the log %q", got)
	}
	if err := r.RewindLog("teacher", 0); err != nil {
		t.Errorf("rewinding no log: %v", err)
	}
	for _, e := range []struct {
		stage string
		seen  int64
	}{{"teacher", 64}, {"distill", 64}, {"teacher", 128}, {"teacher", 192}, {"distill", 256}} {
		if err := r.Log(e.stage, e.seen, map[string]any{"loss": 0.25}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Log("teacher", 256, map[string]any{"loss": math.NaN()}); err == nil {
		t.Error("NaN was logged")
	}
	entries, err := r.ReadLog()
	if err != nil {
		t.Fatal(err)
	}
	var values struct{ Loss float64 }
	if err := json.Unmarshal(entries[0].Values, &values); err != nil || values.Loss != 0.25 {
		t.Errorf("values %s, %v", entries[0].Values, err)
	}
	if err := r.RewindLog("teacher", 128); err != nil {
		t.Fatal(err)
	}
	want := []string{"teacher:64", "distill:64", "teacher:128", "distill:256"}
	if got := lines(t, r); !slices.Equal(got, want) {
		t.Errorf("log %q, want %q", got, want)
	}
}

func TestTornLog(t *testing.T) {
	r := newRun(t)
	if err := r.Log("teacher", 64, map[string]any{"loss": 1}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(r.logPath())
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range []string{`{"stage":"teacher","images_`, strings.TrimSuffix(string(whole), "\n"), "\x00\x00\x00\n"} {
		r = reopen(t, r, func() {
			if err := os.WriteFile(r.logPath(), append(slices.Clone(whole), tail...), 0o666); err != nil {
				t.Fatal(err)
			}
		})
		if got, _ := os.ReadFile(r.logPath()); string(got) != string(whole) {
			t.Errorf("after the tail %q the log is %q", tail, got)
		}
	}
	if err := r.Log("teacher", 128, nil); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, r); !slices.Equal(got, []string{"teacher:64", "teacher:128"}) {
		t.Errorf("log %q", got)
	}
}
