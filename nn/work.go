package nn

// Work is what layers cost for one image. It follows from their shapes and the
// resolution they work at, so nothing needs to run.
type Work struct {
	FLOPs float64 // of convolutions and matrix products forward: two for each multiply-add
	Kept  float64 // numbers that stay in memory for the gradients
}

// spent is the work of one layer.
type spent struct {
	prefix string
	work   Work
}

// Over is the path for layers that work on images of size×size positions. What
// is made without it works on one.
func (p Path) Over(size int) Path {
	p.size = size
	return p
}

// Size is that of the images the path's layers work on.
func (p Path) Size() int { return p.size }

// positions is the number of positions the path's layers work on.
func (p Path) positions() float64 { return float64(p.size * p.size) }

// Spend adds work to what the layers at the path cost by themselves.
func (p Path) Spend(w Work) { p.params.work = append(p.params.work, spent{p.prefix, w}) }

// EachWork calls f with the layers' paths, ending in a dot, in the order they were made.
func (p *Params) EachWork(f func(path string, w Work)) {
	for _, s := range p.work {
		f(s.prefix, s.work)
	}
}

// Work adds up the layers whose path, ending in a dot, passes the filter; a nil filter takes all.
func (p *Params) Work(filter func(path string) bool) Work {
	var sum Work
	for _, s := range p.work {
		if filter == nil || filter(s.prefix) {
			sum.FLOPs += s.work.FLOPs
			sum.Kept += s.work.Kept
		}
	}
	return sum
}
