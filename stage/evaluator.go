package stage

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

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

// Where an evaluator's file keeps its accuracy on the test split, in [0,1], and its classes' names, as JSON.
const accuracyKey, classesKey = "test_accuracy", "class_names"

// evaluatorWidth is the number of channels of the evaluator's first layer.
const evaluatorWidth = 32

// maxBlocks is the number of blocks of an evaluator of 4096 pixels, more than a file can mean.
const maxBlocks = 11

// Evaluator trains the independent classifier that scores samples: another
// architecture and other seeds than the feature network.
// With Config.Evaluator.Images zero it trains none, but makes sure that the
// evaluator shipped for the data source serves.
func Evaluator(ctx context.Context, e *Env) (err error) {
	defer torch.Recover(&err)
	if e.finished("evaluator", EvaluatorFile) {
		return nil
	}
	root := e.scope()
	defer root.Close()
	if e.Config.Evaluator.Images == 0 {
		_, err := e.OpenEvaluator(root)
		return err
	}
	test, err := e.Test()
	if err != nil {
		return err
	}
	defer test.Close()
	params := nn.NewParams(root, e.seed("evaluator", "weights"))
	net := features.NewEvaluator(params.Root(), e.Data.C, evaluatorWidth, features.EvaluatorBlocks(e.Data.H), len(e.Data.ClassNames))
	if err := e.classify(ctx, "evaluator", e.Config.EvaluatorTraining(), net, params); err != nil {
		return err
	}
	trained := &TrainedEvaluator{Evaluator: net.Fold(root)}
	answers, err := trained.examine(ctx, root, test)
	if err != nil {
		return err
	}
	accuracy, err := metrics.Accuracy(answers.Logits, answers.Labels)
	if err != nil {
		return err
	}
	names, err := json.Marshal(e.Data.ClassNames)
	if err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	params.Save(state, "")
	for name, t := range state {
		state[name] = checkpoint.HalfFrom(t)
	}
	return checkpoint.Write(e.Path(EvaluatorFile), state, map[string]string{
		accuracyKey: strconv.FormatFloat(accuracy, 'f', 4, 64), classesKey: string(names), "source": e.Config.Data.Source,
	})
}

// TrainedEvaluator is an evaluator ready for use, in float32.
type TrainedEvaluator struct {
	*features.Evaluator
	Channels int      // of the images
	Classes  []string // names, or numbers where its file has none
	Accuracy float64  // on the test split of its data, by its file
	SHA256   string   // of its file
}

// OpenEvaluator loads the evaluator that a run left (see Evaluator), or, with
// path empty, the one that is shipped for Fashion-MNIST. Its weights live in s.
func OpenEvaluator(s *torch.Scope, path string) (e *TrainedEvaluator, err error) {
	defer torch.Recover(&err)
	var f *checkpoint.File
	if path == "" {
		f, err = shippedEvaluator("fashion-mnist")
	} else {
		f, err = checkpoint.OpenVerified(path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return loadEvaluator(s, f)
}

func loadEvaluator(s *torch.Scope, f *checkpoint.File) (e *TrainedEvaluator, err error) {
	e = &TrainedEvaluator{SHA256: f.SHA256()}
	if e.Accuracy, err = strconv.ParseFloat(f.Metadata()[accuracyKey], 64); err != nil {
		return nil, fmt.Errorf("the file holds no evaluator that says how accurate it is: %w", err)
	}
	first, err := f.Tensor("blocks.0.conv.weight")
	if err != nil {
		return nil, err
	}
	head, err := f.Tensor("head.bias")
	if err != nil {
		return nil, err
	}
	blocks := 0
	for _, name := range f.Names() {
		if strings.HasPrefix(name, "blocks.") && strings.HasSuffix(name, ".conv.weight") {
			blocks++
		}
	}
	if len(first.Shape) != 4 || len(head.Shape) != 1 || blocks < 4 || blocks > maxBlocks {
		return nil, fmt.Errorf("the file holds no evaluator: %d blocks, of shapes from %v to %v", blocks, first.Shape, head.Shape)
	}
	e.Channels = first.Shape[1]
	if text := f.Metadata()[classesKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &e.Classes); err != nil {
			return nil, fmt.Errorf("the classes of the evaluator: %w", err)
		}
	} else if f.Metadata()["source"] == "fashion-mnist" {
		e.Classes = data.FashionMNISTClasses()
	}
	for i := len(e.Classes); i < head.Shape[0]; i++ {
		e.Classes = append(e.Classes, strconv.Itoa(i))
	}
	params := nn.NewParams(s, 0)
	net := features.NewEvaluator(params.Root(), e.Channels, first.Shape[0], blocks, head.Shape[0])
	params.Freeze()
	if err := params.Load(f, ""); err != nil {
		return nil, err
	}
	e.Evaluator = net.Fold(s)
	return e, nil
}

// OpenEvaluator loads the evaluator that the run is scored by: its own, or the
// shipped one. Its weights live in s.
func (e *Env) OpenEvaluator(s *torch.Scope) (*TrainedEvaluator, error) {
	f, err := e.evaluatorFile()
	if err != nil {
		return nil, fmt.Errorf("the evaluator: %w", err)
	}
	defer f.Close()
	trained, err := loadEvaluator(s, f)
	if err != nil {
		return nil, fmt.Errorf("the evaluator: %w", err)
	}
	if trained.Channels != e.Data.C || len(trained.Classes) != len(e.Data.ClassNames) {
		return nil, fmt.Errorf("the evaluator is of images with %d channels in %d classes, the data has %d and %d",
			trained.Channels, len(trained.Classes), e.Data.C, len(e.Data.ClassNames))
	}
	return trained, nil
}

func (e *Env) evaluatorFile() (*checkpoint.File, error) {
	if e.Config.Evaluator.Images > 0 {
		return e.open(e.Path(EvaluatorFile), "demo")
	}
	return shippedEvaluator(e.Config.Data.Source)
}

func shippedEvaluator(source string) (*checkpoint.File, error) {
	content, err := shipped.ReadFile("evaluators/" + source + ".safetensors")
	if err != nil {
		return nil, fmt.Errorf("none is shipped for the source %q; set evaluator.images in the configuration to train one", source)
	}
	return checkpoint.Parse(content)
}

// examine looks at images of any resolution; tensors live in children of root.
func (t *TrainedEvaluator) examine(ctx context.Context, root *torch.Scope, d *data.Dataset) (metrics.Answers, error) {
	a := metrics.Answers{Features: metrics.Features{N: d.Len(), D: features.EvaluatorFeatures}, Labels: make([]int, d.Len())}
	a.Logits = metrics.Features{N: d.Len(), D: len(d.ClassNames)}
	for i, label := range d.Labels {
		a.Labels[i] = int(label)
	}
	size := d.C * d.H * d.W
	for first, n := range blocks(d.Len(), d.H) {
		if ctx.Err() != nil {
			return a, interrupted(ctx, "the evaluation")
		}
		s := root.Child()
		f := t.Features(s, images(s, d, d.Pixels[first*size:(first+n)*size], d.H))
		a.Features.Values = append(a.Features.Values, f.Float32s()...)
		a.Logits.Values = append(a.Logits.Values, t.Classify(s, f).Float32s()...)
		s.Close()
	}
	return a, nil
}
