package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// BestFile holds, of the averaged weights that config.Watch looked at, those
// with the least Fréchet distance.
func BestFile(resolution int) string {
	return fmt.Sprintf("generator-%d-best.safetensors", resolution)
}

// examined is a trainer that is also evaluated while it trains.
type examined interface {
	// examine evaluates it once it has seen that many images, if its turn has come;
	// what is worth telling a person is the note.
	examine(seen int64) (note string, err error)
}

// examiner evaluates generators. Its random numbers follow from the run's seed
// alone and its memory is the run's log, so a training that goes on from a
// checkpoint keeps the same weights as one that was never stopped.
type examiner struct {
	env       *Env
	name      string // of the stage
	root      *torch.Scope
	evaluator *TrainedEvaluator
	real      metrics.Statistics
}

// examinedReal is the number of training images that samples are compared with, at most.
const examinedReal = 10_000

// newExaminer prepares the evaluation of a stage at one resolution; nil when
// the configuration asks for none.
func (e *Env) newExaminer(ctx context.Context, root *torch.Scope, name string, resolution int) (*examiner, error) {
	if e.Config.Watch.Every == 0 {
		return nil, nil
	}
	if !e.done(EvaluatorFile) {
		if err := Evaluator(ctx, e); err != nil {
			return nil, err
		}
	}
	x := &examiner{env: e, name: name, root: root}
	var err error
	if x.evaluator, err = e.OpenEvaluator(root); err != nil {
		return nil, err
	}
	order := data.NewOrder(e.Data.Len(), false, e.seed("watch", "training images"))
	pixels, labels := e.Data.Gather(order.Batch(0, min(examinedReal, e.Data.Len())))
	x.real, err = x.statistics(ctx, resolution, reduced(root, e.Data, pixels, resolution), labels)
	return x, err
}

// reduced brings 8-bit images down by averaging areas.
func reduced(root *torch.Scope, d *data.Dataset, pixels []uint8, resolution int) (out []uint8) {
	size := d.C * d.H * d.W
	for first, n := range blocks(len(pixels)/size, d.H) {
		s := root.Child()
		out = append(out, toPixels(s, images(s, d, pixels[first*size:(first+n)*size], resolution))...)
		s.Close()
	}
	return out
}

// statistics are those of the evaluator's features of 8-bit images.
func (x *examiner) statistics(ctx context.Context, resolution int, pixels []uint8, labels []int32) (metrics.Statistics, error) {
	d := &data.Dataset{C: x.env.Data.C, H: resolution, W: resolution, Pixels: pixels, Labels: labels, ClassNames: x.env.Data.ClassNames}
	answers, err := x.evaluator.examine(ctx, x.root, d)
	if err != nil {
		return metrics.Statistics{}, err
	}
	return metrics.StatisticsOf(answers.Features)
}

// distance is the Fréchet distance of what the network makes of latents that are always the same.
func (x *examiner) distance(net diffusion.Network, c network.Config) (float64, error) {
	var pixels []uint8
	labels := make([]int32, x.env.Config.Watch.Samples)
	for first, n := range blocks(len(labels), c.OutputSize()) {
		classes := make([]int64, n)
		for i := range classes {
			classes[i] = int64((first + i) % len(x.env.Data.ClassNames))
		}
		s := x.root.NoGrad()
		z := diffusion.Latents(s, x.env.seed("watch", "latents"), int64(first), n, c.Channels(), c.InputSize(), c.InputSize())
		pixels = append(pixels, toPixels(s, diffusion.Generate(s, net, z, c.Labels(classes)))...)
		s.Close()
	}
	made, err := x.statistics(context.Background(), c.OutputSize(), pixels, labels)
	if err != nil {
		return 0, err
	}
	distance, _, err := metrics.Frechet(x.real, made)
	return distance, err
}

// distanceKey is the name of the distance in the run's log.
const distanceKey = "fd"

// least is the least distance that the log has of the stage; +Inf when it has none.
func (x *examiner) least() (float64, error) {
	lines, err := x.env.Run.ReadLog()
	least := math.Inf(1)
	for _, line := range lines {
		var values map[string]float64
		if line.Stage != x.name || json.Unmarshal(line.Values, &values) != nil {
			continue
		}
		if v, ok := values[distanceKey]; ok {
			least = min(least, v)
		}
	}
	return least, err
}

// examine evaluates the averaged weights, after every config.Watch.Every images
// and at the end, and keeps them if none were better. It is not interrupted: a
// stage never stops between an update and its evaluation.
func (t *generator) examine(seen int64) (note string, err error) {
	if t.examiner == nil {
		return "", nil
	}
	every, before := t.env.Config.Watch.Every, seen-int64(t.settings.Batch)
	if seen/every == before/every && seen < t.settings.Images {
		return "", nil
	}
	distance, err := t.examiner.distance(t.averaged, t.architecture)
	if err != nil {
		return "", fmt.Errorf("%s cannot be evaluated at %d images: %w", t.name, seen, err)
	}
	least, err := t.examiner.least()
	if err != nil {
		return "", err
	}
	note = fmt.Sprintf("Fréchet distance %.3g at %d images", distance, seen)
	if distance < least {
		note += ", the least so far"
		if err := t.saveAverage(BestFile(t.architecture.OutputSize()), seen); err != nil {
			return "", err
		}
	}
	return note, t.env.Run.Log(t.name, seen, map[string]float64{distanceKey: distance})
}

// saveAverage leaves the averaged weights in the run folder.
func (t *generator) saveAverage(file string, seen int64) error {
	return network.Save(t.env.Path(file), t.average, network.Description{
		Stage: network.Generator, Preset: t.env.Config.Name, Architecture: t.architecture,
		ClassNames: t.env.Data.ClassNames, MirrorClasses: t.env.Data.MirrorClasses, ImagesSeen: seen,
	})
}
