// Package plan works out what a run costs before it starts: parameters,
// operations, memory and time, all from the configuration and the shapes of the
// networks.
package plan

import (
	"fmt"

	"github.com/pagoda-go/pagoda/config"
)

// Stage is what one stage of a run costs.
type Stage struct {
	Name       string
	Resolution int     // of the images it makes or learns
	Parameters int     // of its network
	Trained    int     // of them
	Forward    float64 // floating-point operations of its network for one image
	FLOPs      float64 // for each image it sees: of the network, forward and where it trains backward, and of the networks that judge its images
	Images     int64   // that it sees; zero: every image of the data
	Batch      int
	Memory     float64 // bytes at that batch
}

// Of works out the stages of a run in their order, at their own batch sizes or,
// when batch is positive, at that one.
func Of(c *config.Config, batch int) ([]Stage, error) {
	at := func(own int) int {
		if batch > 0 {
			return batch
		}
		return own
	}
	teacher, err := measure(c.Base(), c, 0)
	if err != nil {
		return nil, err
	}
	base := c.Network.Resolution
	evaluations := float64(2 * (c.Invert.Steps - 1)) // Heun's method between so many noise levels
	stages := []Stage{
		{
			Name: "teacher", Resolution: base, Parameters: teacher.count, Trained: teacher.count,
			Forward: teacher.all.FLOPs, FLOPs: teacherStep(c, teacher), Images: c.Teacher.Images, Batch: at(c.Teacher.Batch),
		},
		{
			Name: "invert", Resolution: base, Parameters: teacher.count,
			Forward: teacher.all.FLOPs, FLOPs: evaluations * teacher.all.FLOPs, Images: pairs(c), Batch: at(c.Invert.Batch),
		},
	}
	stages[0].Memory = training(teacher, c, float64(stages[0].Batch))
	stages[1].Memory = inference(teacher)
	for n := range len(c.Grow) + 1 {
		s, err := generator(c, n, at)
		if err != nil {
			return nil, fmt.Errorf("generator after %d growths: %w", n, err)
		}
		stages = append(stages, s)
	}
	return stages, nil
}

// pairs is the number of latents that are made; zero: all images.
func pairs(c *config.Config) int64 {
	n := int64(c.Invert.Images)
	if c.Data.Mirror {
		n *= 2
	}
	return n
}
