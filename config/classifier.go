package config

import "fmt"

// Evaluator is the independent classifier that scores samples. Its labels are
// smoothed and its images shifted as Features says.
type Evaluator struct {
	Images int64   `toml:"images"` // training; 0 uses the one shipped for the source
	Batch  int     `toml:"batch"`  // 0: as Features.Batch
	LR     float64 `toml:"lr"`     // 0: as Features.LR
}

// Classifier is the training of a classifier of the data.
type Classifier struct {
	Images    int64
	Batch     int
	LR        float64
	Smoothing float64 // of the labels
	Shift     int     // random translation in pixels
}

// FeatureTraining is how the in-domain feature network trains.
func (c *Config) FeatureTraining() Classifier {
	f := c.Features
	return Classifier{f.Images, f.Batch, f.LR, f.Smoothing, f.Shift}
}

// EvaluatorTraining is how the evaluator trains.
func (c *Config) EvaluatorTraining() Classifier {
	t := c.FeatureTraining()
	t.Images = c.Evaluator.Images
	if c.Evaluator.Batch != 0 {
		t.Batch = c.Evaluator.Batch
	}
	if c.Evaluator.LR != 0 {
		t.LR = c.Evaluator.LR
	}
	return t
}

func (c *Config) validateClassifiers() error {
	f := c.FeatureTraining()
	if !c.Features.Pretrained() && (c.Features.Width <= 0 || f.Batch <= 0 || f.Images <= 0 || f.LR <= 0) {
		return fmt.Errorf("config: features.width, batch, images and lr are %d, %d, %d and %g; the in-domain network needs all positive", c.Features.Width, f.Batch, f.Images, f.LR)
	}
	if f.Shift < 0 || f.Shift >= c.Data.Resolution || f.Smoothing < 0 || f.Smoothing >= 1 {
		return fmt.Errorf("config: features.shift and smoothing are %d and %g; they must be a number of pixels, fewer than an image has, and a share less than 1", f.Shift, f.Smoothing)
	}
	e := c.EvaluatorTraining()
	if e.Images < 0 {
		return fmt.Errorf("config: evaluator.images is %d; it must be a number of images, or 0", e.Images)
	}
	if e.Images > 0 && (e.Batch <= 0 || e.LR <= 0) {
		return fmt.Errorf("config: evaluator.batch and lr are %d and %g; where [features] does not have them [evaluator] must", e.Batch, e.LR)
	}
	return nil
}
