package stage

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

// scaledTeacher trains a small teacher in float32, with the scaled losses of
// float16 if that is the run's precision, up to so many images, 0 for all. It returns the
// first weights and the loss scale.
func scaledTeacher(t *testing.T, dir, precision string, stop int64) ([]float32, float64) {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	c.Precision, c.Network.Channels, c.Network.HeadChannels, c.Network.Groups = precision, 16, 16, 4
	c.Teacher.Batch, c.Teacher.Images = 4, 40
	run, err := checkpoint.CreateRun(dir, nil)
	if errors.Is(err, checkpoint.ErrRunExists) {
		run, err = checkpoint.OpenRun(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	d := &data.Dataset{C: 1, H: 32, W: 32, Pixels: make([]uint8, 16*32*32), Labels: make([]int32, 16), ClassNames: make([]string, 10)}
	for i := range d.Pixels {
		d.Pixels[i] = uint8(i * i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e := &Env{Run: run, Config: c, Data: d, Device: testdevice.Device(), Progress: func(_ string, seen, _ int64, _ string) {
		if stop > 0 && seen == stop {
			cancel()
		}
	}}
	root := torch.NewScope(testdevice.Device())
	defer root.Close()
	trainer, err := newTeacher(e, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.train(ctx, "teacher", 40, trainer, root.WithCompute(torch.Float32)); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return trainer.params.Tensors()[0].Float32s(), trainer.lossScale().Factor()
}

// Scaled losses train the weights that the losses themselves train, and a run
// that was stopped goes on with the scale it had.
func TestLossScale(t *testing.T) {
	dir := t.TempDir()
	plain, scale := scaledTeacher(t, filepath.Join(dir, "plain"), "float32", 0)
	if scale != 1 {
		t.Errorf("in float32 losses are multiplied by %g", scale)
	}
	scaled, scale := scaledTeacher(t, filepath.Join(dir, "scaled"), "float16", 0)
	if want := math.Exp2(20.010); math.Abs(scale/want-1) > 1e-9 {
		t.Errorf("after ten steps losses are multiplied by %g, want %g", scale, want)
	}
	for i, v := range plain {
		if d := math.Abs(float64(scaled[i] - v)); d > 1e-5 {
			t.Fatalf("weight %d is %g, without a scale %g", i, scaled[i], v)
		}
	}
	if slices.Equal(plain, scaled) {
		t.Error("the weights are those without a scale to the last bit")
	}
	scaledTeacher(t, filepath.Join(dir, "stopped"), "float16", 20)
	if again, s := scaledTeacher(t, filepath.Join(dir, "stopped"), "float16", 0); s != scale || !slices.Equal(again, scaled) {
		t.Errorf("a stopped run ends with a scale of %g, want %g, or with other weights", s, scale)
	}
}

// The processor has no float16.
func TestFloat16TakesCUDA(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	c.Precision = "float16"
	run, err := checkpoint.CreateRun(filepath.Join(t.TempDir(), "run"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	d := &data.Dataset{C: 1, H: 32, W: 32, ClassNames: make([]string, 10), Pixels: make([]uint8, 32*32), Labels: make([]int32, 1)}
	err = Teacher(t.Context(), &Env{Run: run, Config: c, Data: d, Device: torch.CPU})
	if err == nil || !strings.Contains(err.Error(), "float16 takes a CUDA device") {
		t.Error(err)
	}
}
