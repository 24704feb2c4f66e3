package stage

import (
	"context"
	"embed"
	"fmt"
	"strconv"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// EvaluatorFile is what Evaluator leaves: weights in half precision, with the
// accuracy on the test split. A copy in evaluators/, named after the data
// source, ships with the program.
const EvaluatorFile = "evaluator.safetensors"

//go:embed evaluators/*.safetensors
var shipped embed.FS

// accuracyKey is where an evaluator's file keeps its accuracy on the test split, in [0,1].
const accuracyKey = "test_accuracy"

// evaluatorWidth is the number of channels of the evaluator's first layer.
const evaluatorWidth = 32

// Evaluator trains the independent classifier that scores samples: another
// architecture and other seeds than the feature network.
// With Config.Evaluator.Images zero it does nothing, and the evaluator shipped
// for the data source is used.
func Evaluator(ctx context.Context, e *Env) (err error) {
	if e.Config.Evaluator.Images == 0 || e.done(EvaluatorFile) {
		return nil
	}
	test, err := e.test()
	if err != nil {
		return err
	}
	defer torch.Recover(&err)
	root := e.scope()
	defer root.Close()
	params := nn.NewParams(root, e.seed("evaluator", "weights"))
	net := newEvaluator(params, e.Data)
	if err := e.classify(ctx, "evaluator", e.Config.Evaluator.Images, net, params); err != nil {
		return err
	}
	ev := &evaluator{net: net.Fold(root), work: root}
	answers, err := ev.examine(ctx, test, nil)
	if err != nil {
		return err
	}
	accuracy, err := answers.accuracy()
	if err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	params.Save(state, "")
	for name, t := range state {
		state[name] = checkpoint.HalfFrom(t)
	}
	return checkpoint.Write(e.Path(EvaluatorFile), state, map[string]string{
		accuracyKey: strconv.FormatFloat(accuracy, 'f', 4, 64), "source": e.Config.Data.Source,
	})
}

func newEvaluator(params *nn.Params, d *data.Dataset) *features.Evaluator {
	return features.NewEvaluator(params.Root(), d.C, evaluatorWidth, len(d.ClassNames))
}

// test is the split that samples are measured against.
func (e *Env) test() (*data.Dataset, error) {
	c := e.Config.Data
	return data.Load(c.Source, c.Path, data.Test, c.Resolution, c.Channels)
}

// evaluator is the trained evaluator in use, in float32.
type evaluator struct {
	net      *features.Evaluator
	work     *torch.Scope
	accuracy float64 // on the test split, by its file
	sha256   string  // of its file's content
}

// openEvaluator loads the run's own evaluator, or the shipped one.
func (e *Env) openEvaluator(root *torch.Scope) (*evaluator, error) {
	f, err := e.evaluatorFile()
	if err != nil {
		return nil, fmt.Errorf("the evaluator: %w", err)
	}
	defer f.Close()
	ev := &evaluator{work: root, sha256: f.Metadata()["sha256"]}
	if ev.accuracy, err = strconv.ParseFloat(f.Metadata()[accuracyKey], 64); err != nil {
		return nil, fmt.Errorf("the evaluator does not say how accurate it is: %w", err)
	}
	params := nn.NewParams(root, 0)
	net := newEvaluator(params, e.Data)
	params.Freeze()
	if err := params.Load(f, ""); err != nil {
		return nil, fmt.Errorf("the evaluator: %w", err)
	}
	ev.net = net.Fold(root)
	return ev, nil
}

func (e *Env) evaluatorFile() (*checkpoint.File, error) {
	if e.Config.Evaluator.Images > 0 {
		return checkpoint.OpenVerified(e.Path(EvaluatorFile))
	}
	content, err := shipped.ReadFile("evaluators/" + e.Config.Data.Source + ".safetensors")
	if err != nil {
		return nil, fmt.Errorf("none is shipped for the source %q; set evaluator.images in the configuration to train one", e.Config.Data.Source)
	}
	return checkpoint.Parse(content)
}

// answers are what the evaluator says to a set of images.
type answers struct {
	features, logits metrics.Features // (N,features.EvaluatorFeatures), (N,classes)
	labels           []int            // the classes that the images were meant to show
}

func (a answers) accuracy() (float64, error) { return metrics.Accuracy(a.logits, a.labels) }

// examineBatch is the number of images that the evaluator looks at together.
const examineBatch = 250

// examine looks at images of any resolution; each is called with the number of
// images of every batch when it is not nil.
func (ev *evaluator) examine(ctx context.Context, d *data.Dataset, each func(n int)) (answers, error) {
	a := answers{features: metrics.Features{N: d.Len(), D: features.EvaluatorFeatures}, labels: make([]int, d.Len())}
	a.logits = metrics.Features{N: d.Len(), D: len(d.ClassNames)}
	for i, label := range d.Labels {
		a.labels[i] = int(label)
	}
	size := d.C * d.H * d.W
	for first := 0; first < d.Len(); first += examineBatch {
		if ctx.Err() != nil {
			return a, interrupted(ctx, "the evaluation")
		}
		n := min(examineBatch, d.Len()-first)
		s := ev.work.Child()
		f := ev.net.Features(s, images(s, d, d.Pixels[first*size:(first+n)*size], d.H))
		a.features.Values = append(a.features.Values, f.Float32s()...)
		a.logits.Values = append(a.logits.Values, ev.net.Classify(s, f).Float32s()...)
		s.Close()
		if each != nil {
			each(n)
		}
	}
	return a, nil
}
