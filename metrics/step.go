package metrics

// Step is told, before each part of a long computation and at its end, how many
// of its steps are done. Its error ends the computation. Nil is none.
type Step func(done, total int) error

// work counts the steps of a computation; nil counts nothing.
type work struct {
	step        Step
	done, total int
}

// next announces n steps.
func (w *work) next(n int) error {
	if w == nil || w.step == nil {
		return nil
	}
	err := w.step(w.done, w.total)
	w.done += n
	return err
}
