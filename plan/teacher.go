package plan

import "github.com/pagoda-go/pagoda/config"

// backward is the work of a training step in forward passes: gradients with
// respect to activations and to weights cost one each.
const backward = 3

// TeacherFLOPs is the work of training the teacher on one image, forward and
// backward, if it worked at the given resolution: the same blocks, attention at
// the same levels.
func TeacherFLOPs(c *config.Config, resolution int) (float64, error) {
	at := *c
	at.Network.Attention = nil
	for _, r := range c.Network.Attention {
		at.Network.Attention = append(at.Network.Attention, r*resolution/c.Network.Resolution)
	}
	at.Network.Resolution = resolution
	s, err := measure(at.Base(), &at, 0)
	return teacherStep(c, s), err
}

func teacherStep(c *config.Config, teacher size) float64 {
	return (backward + again(c)) * teacher.all.FLOPs
}

// again is the forward passes of what trains that checkpointing repeats.
func again(c *config.Config) float64 {
	if c.Network.Checkpointing {
		return 1
	}
	return 0
}
