package config

import "fmt"

// Watch evaluates generators while they train: now and then the averaged weights
// make images, whose Fréchet distance from training images, in the features of
// the independent classifier, goes into the log. The best weights are kept.
type Watch struct {
	Every   int64 `toml:"every"`   // images of training between evaluations; 0: none
	Samples int   `toml:"samples"` // images made for each
}

func (w Watch) validate() error {
	if w.Every < 0 {
		return fmt.Errorf("config: watch.every is %d; it must be a number of images, or 0", w.Every)
	}
	if w.Every > 0 && w.Samples < 2 {
		return fmt.Errorf("config: watch.samples is %d; an evaluation needs 2 at least, and some thousands to mean something", w.Samples)
	}
	return nil
}
