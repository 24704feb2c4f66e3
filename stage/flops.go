package stage

import "github.com/pagoda-go/pagoda/torch"

// TeacherFLOPs counts the floating-point operations that training the teacher
// takes for an image, forward and backward, if it worked at the given
// resolution: the same blocks, attention at the same levels.
func TeacherFLOPs(e *Env, resolution int) (flops float64, err error) {
	defer torch.Recover(&err)
	c := *e.Config
	c.Network.Attention = nil
	for _, r := range e.Config.Network.Attention {
		c.Network.Attention = append(c.Network.Attention, r*resolution/e.Config.Network.Resolution)
	}
	c.Network.Resolution = resolution
	c.Teacher.Batch = 1
	at := *e
	at.Config = &c
	root := e.scope()
	defer root.Close()
	t, err := newTeacher(&at, root)
	if err != nil {
		return 0, err
	}
	s := root.CountFLOPs(&flops)
	defer s.Close()
	t.step(s, 0)
	return flops, nil
}
