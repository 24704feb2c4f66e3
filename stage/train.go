package stage

import "context"

// Train runs all stages in order and draws the samples of each. Stages that are
// done already, by their files in the run folder, are not done again. Files that
// a later stage needs from elsewhere must be there from the beginning.
func Train(ctx context.Context, e *Env) error {
	if err := e.ready(); err != nil {
		return err
	}
	for _, stage := range []func(context.Context, *Env) error{Features, Teacher, SampleTeacher, Invert} {
		if err := stage(ctx, e); err != nil {
			return err
		}
	}
	for n := range len(e.Config.Grow) + 1 {
		if err := e.adversarial(ctx, n); err != nil {
			return err
		}
		if err := SampleGenerator(ctx, e, n); err != nil {
			return err
		}
	}
	return nil
}
