// Package stage has the method's stages: the diffusion teacher on downsampled
// images, the inversion of images into latents, the distillation of a one-step
// generator and its growth to higher resolutions; and the small classifier
// whose features two of them use.
//
// A stage reads what the stages before it left in the run folder and leaves one
// file there. Progress is one counter, the number of images seen; every random
// number follows from it and the seed, so a stage that is interrupted goes on
// exactly.
package stage

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/torch"
)

// Env is what the stages of one run share.
type Env struct {
	Run      *checkpoint.Run
	Config   *config.Config
	Data     *data.Dataset // training images, Config.Data.Resolution pixels
	Device   torch.Device
	Progress Progress // nil for none
}

// Progress is told how far a stage is, in images, first where it begins or goes
// on from. The note, seldom there, is something that a person should know.
type Progress func(stage string, done, total int64, note string)

// Path is the file that a stage leaves in the run folder.
func (e *Env) Path(name string) string { return filepath.Join(e.Run.Dir, name) }

// done tells whether a file is there.
func (e *Env) done(name string) bool {
	_, err := os.Stat(e.Path(name))
	return err == nil
}

// finished tells whether a stage is done, and says so.
func (e *Env) finished(stage, name string) bool {
	if !e.done(name) {
		return false
	}
	e.progress(stage, 0, 0, "done before: "+e.Path(name))
	return true
}

func (e *Env) progress(stage string, done, total int64, note string) {
	if e.Progress != nil {
		e.Progress(stage, done, total, note)
	}
}

// scope is the root scope of a stage, in the run's precision.
func (e *Env) scope() *torch.Scope { return torch.NewScope(e.Device) }

// working is a child of root in the run's precision; bfloat16 gives way to
// float32 where the hardware would only emulate it.
func (e *Env) working(root *torch.Scope) *torch.Scope {
	switch e.Config.Precision {
	case "bfloat16":
		return root.WithCompute(torch.Fastest(e.Device))
	case "float16":
		return root.WithCompute(torch.Float16)
	}
	return root.WithCompute(torch.Float32)
}

// seed is the seed of one purpose of one stage.
func (e *Env) seed(stage, purpose string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%s", e.Config.Seed, stage, purpose)
	return h.Sum64()
}

// images turns pixels (n,C,H,W) into [-1,1] at the given resolution, averaged over areas.
func images(s *torch.Scope, d *data.Dataset, pixels []uint8, resolution int) *torch.Tensor {
	n := len(pixels) / (d.C * d.H * d.W)
	x := s.Affine(s.To(s.FromBytes(pixels, torch.Uint8, n, d.C, d.H, d.W), torch.Float32), 1/127.5, -1)
	if resolution != d.H {
		x = s.Resize(x, resolution, resolution, torch.Area)
	}
	return x
}

// int64s widens labels.
func int64s(labels []int32) []int64 {
	out := make([]int64, len(labels))
	for i, l := range labels {
		out[i] = int64(l)
	}
	return out
}

// learningRate warms up over the first 2 % of the training, stays, and after the
// share `decay` falls along a cosine to 2 %.
func learningRate(peak, decay float64, seen, total int64) float64 {
	done := float64(seen) / float64(total)
	switch {
	case done < 0.02:
		return peak * (0.02 + 0.98*done/0.02)
	case done < decay:
		return peak
	}
	return peak * (0.02 + 0.98*0.5*(1+math.Cos(math.Pi*(done-decay)/(1-decay))))
}

// interrupted is the error of a stage that was asked to stop after saving.
func interrupted(ctx context.Context, stage string) error {
	return fmt.Errorf("%s stopped; the same command goes on from here: %w", stage, context.Cause(ctx))
}
