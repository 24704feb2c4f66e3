package config

// Shorten takes every training of the run to a share of its images, and the
// inversion to as large a share of the data's pictures, for a quick look at data
// or on slow processors. Learning rates fall, and pictures are seen, in proportion. The
// evaluator trains in full: scores of short runs are taken as those of long ones.
func (c *Config) Shorten(share float64, pictures int) {
	part := func(images int64) int64 { return int64(share*float64(images) + 0.5) }
	c.Teacher.Images = max(1, part(c.Teacher.Images))
	if c.Invert.Images > 0 {
		pictures = min(pictures, c.Invert.Images)
	}
	c.Invert.Images = max(1, int(part(int64(pictures))))
	c.Features.Images, c.Distill.Images = part(c.Features.Images), part(c.Distill.Images)
	for i := range c.Grow {
		c.Grow[i].Images = part(c.Grow[i].Images)
	}
}
