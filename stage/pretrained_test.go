package stage_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// script is a TorchScript network of two maps.
const script = "../torch/testdata/maps.pt"

// paperEnv is a run as the paper's: pretrained feature networks, their random
// projections, MultiScaleD with a frozen class embedding, and LPIPS in the growth.
func paperEnv(t *testing.T, dir, embedding string, networks ...string) *stage.Env {
	t.Helper()
	e := newEnv(t, dir, "float32")
	e.Data = rgb(e.Data)
	c := e.Config
	c.Data.Channels, c.Data.MirrorClasses, e.Data.MirrorClasses = 3, false, false
	c.Features = config.Features{Networks: networks, AsBuilt: true}
	c.Teacher.Images, c.Invert.Images, c.Invert.Batch = 16, 4, 4
	grow := &c.Grow[0].Distill
	for _, d := range []*config.Distill{&c.Distill, grow} {
		d.Discriminator, d.Heads, d.ClassEmbedding = config.MultiScale, 0, embedding
		d.Images, d.Batch, d.Reconstruct, d.Augment.Reconstructions = 4, 2, 1, true
	}
	grow.Images, grow.Distance, grow.Augment.Reconstructions = 2, config.LPIPS, false
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return e
}

// emptyCache is a folder in place of the user's cache, from which the engine has been loaded.
func emptyCache(t *testing.T) string {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	return cache
}

// rgb tints grey images.
func rgb(d *data.Dataset) *data.Dataset {
	out, size := *d, d.H*d.W
	out.C, out.Pixels = 3, nil
	for image := range slices.Chunk(d.Pixels, size) {
		for tint := range 3 {
			for _, v := range image {
				out.Pixels = append(out.Pixels, v/uint8(1+tint))
			}
		}
	}
	return &out
}

// Stage 2 on pretrained networks stops and goes on exactly, random projections
// and spectral norms' states included, and a growth goes on with them. The class
// embedding stays what it was, and no tensor is left behind.
func TestPretrainedNetworks(t *testing.T) {
	cache := emptyCache(t)
	embedding := filepath.Join(t.TempDir(), "embedding.pt")
	table := (&golden.Weights{Gain: 1, Shapes: map[string][]int{"embed.weight": {10, 5}}})
	values, err := table.Tensor("embed.weight")
	if err != nil {
		t.Fatal(err)
	}
	if err := pytorch.Write(embedding, map[string]checkpoint.Tensor{"embed": values}); err != nil {
		t.Fatal(err)
	}
	paper := func(name string) *stage.Env {
		return paperEnv(t, filepath.Join(t.TempDir(), name), embedding, config.EfficientNet, script)
	}
	straight, stopped := paper("straight"), paper("stopped")
	ctx := context.Background()

	if err := stage.Train(ctx, straight); !errors.Is(err, fetch.ErrMissing) || has(straight, stage.TeacherFile) {
		t.Fatalf("training began without the weights: %v", err)
	}
	install(t, cache, config.EfficientNet, &golden.Weights{Net: config.EfficientNet, Gain: 1.5, Shapes: efficientNetShapes(t)})
	vgg, heads := golden.LPIPSWeights()
	install(t, cache, "vgg16", vgg)
	install(t, cache, "lpips_vgg", heads)

	live := torch.LiveTensors()
	for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher, stage.Invert} {
		if err := do(ctx, straight); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{stage.TeacherFile, stage.PairsDir} {
		if err := copyAll(straight.Path(file), stopped.Path(file)); err != nil {
			t.Fatal(err)
		}
	}
	distill, grow := stages[3], stages[4]
	interrupt(t, stopped, distill.do, 2)
	for _, do := range []func() error{
		func() error { return distill.do(ctx, stopped) },
		func() error { return distill.do(ctx, straight) },
		func() error { return grow.do(ctx, straight) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range distill.files {
		same(t, straight.Path(file), stopped.Path(file))
	}
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}

	low, high := tensors(t, straight.Path("discriminator-8.safetensors")), tensors(t, straight.Path("discriminator-16.safetensors"))
	for _, network := range []string{config.EfficientNet, "script1"} {
		at := "samples." + network + "."
		for name, moves := range map[string]bool{
			"features.scratch.layer1_csm.out_conv.weight": false,
			"mini_discs.1.embed.weight":                   false,
			"mini_discs.1.cls.weight_orig":                true,
			"mini_discs.1.cls.weight_u":                   true,
		} {
			a, b := low[at+name], high[at+name]
			if len(a.Data) == 0 || slices.Equal(a.Data, b.Data) == moves {
				t.Errorf("%s%s, of shape %v, should move in the growth: %v", at, name, a.Shape, moves)
			}
		}
		if got := low[at+"mini_discs.0.embed.weight"]; !slices.Equal(got.Data, values.Data) {
			t.Errorf("%s: the class embedding is not the pretrained one", network)
		}
	}
	for _, name := range []string{"reconstruction", "adversarial", "lambda", "score_real", "score_fake"} {
		for _, at := range []string{"generator-8", "generator-16"} {
			if !slices.Contains(logged(t, straight, at), name) {
				t.Errorf("%s logs no %s", at, name)
			}
		}
	}
	refusesOthers(t, straight, cache)
}

// refusesOthers: a run does not go on with other weights than it began with.
func refusesOthers(t *testing.T, e *stage.Env, cache string) {
	t.Helper()
	install(t, cache, "lpips_vgg", &golden.Weights{Gain: 1, Shapes: map[string][]int{"other.weight": {1, 1}}})
	if err := os.Remove(e.Path(stage.GeneratorFile(16))); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func(context.Context, *stage.Env) error{stages[4].do, stage.Train} {
		if err := do(context.Background(), e); err == nil || !strings.Contains(err.Error(), "put those back, or start a new run") {
			t.Errorf("it goes on with other weights: %v", err)
		}
	}
}

func has(e *stage.Env, file string) bool {
	_, err := os.Stat(e.Path(file))
	return err == nil
}

// tensors are the tensors of a file.
func tensors(t *testing.T, path string) map[string]checkpoint.Tensor {
	t.Helper()
	f, err := checkpoint.OpenVerified(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]checkpoint.Tensor{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		out[name] = x
	}
	return out
}

// install puts weights by the formula where the published ones of that name belong, as timm publishes them.
func install(t *testing.T, cache, name string, w *golden.Weights) {
	t.Helper()
	w.K = 37
	state := map[string]checkpoint.Tensor{}
	for _, name := range w.Names() {
		x, err := w.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		state[name] = x
	}
	folder := filepath.Join(cache, "pagoda", "weights")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(filepath.Join(folder, name+".safetensors"), state, nil); err != nil {
		t.Fatal(err)
	}
}

// efficientNetShapes are the shapes of the published file, by a golden file.
func efficientNetShapes(t *testing.T) map[string][]int {
	t.Helper()
	f, err := checkpoint.Open("../testdata/golden/features_efficientnet_lite0.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list [][2]any
	if err := json.Unmarshal([]byte(f.Metadata()["state_dict"]), &list); err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{}
	for _, item := range list {
		shape := []int{}
		for _, d := range item[1].([]any) {
			shape = append(shape, int(d.(float64)))
		}
		shapes[item[0].(string)] = shape
	}
	return shapes
}

// One step of stage 2 on DeiT, whose read-outs are random and saved too.
func TestDeiT(t *testing.T) {
	if testing.Short() {
		t.Skip("86 million parameters")
	}
	cache := emptyCache(t)
	shapes := nn.NewShapes()
	features.NewViT(shapes.Root(), features.ViTConfig{Width: 768, Depth: 12, Heads: 12, Patch: 16, Grid: 14, Distilled: true})
	install(t, cache, config.DeiT, &golden.Weights{Net: config.DeiT, Gain: 1, Shapes: golden.Shapes(shapes)})
	e := paperEnv(t, filepath.Join(t.TempDir(), "run"), "", config.DeiT)
	e.Config.Distill.Images, e.Config.Distill.Batch = 1, 1
	live := torch.LiveTensors()
	for _, do := range []func(context.Context, *stage.Env) error{stage.Teacher, stage.Invert, stage.Distill} {
		if err := do(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
	if !slices.Contains(logged(t, e, "generator-8"), "reconstruction") {
		t.Error("no reconstruction loss")
	}
	saved := tensors(t, e.Path("discriminator-8.safetensors"))
	for _, use := range []string{"samples", "distance"} {
		if name := use + "." + config.DeiT + ".features.pretrained.layer4.4.weight"; len(saved[name].Data) == 0 {
			t.Errorf("%s is not saved", name)
		}
	}
}

// A run on pretrained networks has no feature network to train, says so once,
// and does not wait for one.
func TestNoFeaturesToTrain(t *testing.T) {
	e := paperEnv(t, filepath.Join(t.TempDir(), "run"), "", config.EfficientNet)
	text, err := e.Config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.Path("config.toml"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	var notes []string
	e.Progress = func(_ string, _, _ int64, note string) { notes = append(notes, note) }
	if err := stage.Features(context.Background(), e); err != nil || has(e, stage.FeaturesFile) {
		t.Errorf("it trains features: %v", err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "there is none to train") {
		t.Errorf("%q", notes)
	}
	_, stages, err := stage.Survey(e.Run.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(stages, func(s stage.Status) bool { return s.Stage == "features" }) {
		t.Errorf("%+v", stages)
	}
}

// Without an evaluator that serves, nothing needs to be trained to find that out.
func TestEvaluatorIsCheckedWithoutTraining(t *testing.T) {
	e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
	if err := stage.Evaluator(context.Background(), e); err == nil || !strings.Contains(err.Error(), `none is shipped for the source "synthetic"; set evaluator.images`) {
		t.Error(err)
	}
	e.Config.Data.Source = "fashion-mnist"
	if err := stage.Evaluator(context.Background(), e); err != nil {
		t.Error(err)
	}
	e.Data = rgb(e.Data)
	if err := stage.Evaluator(context.Background(), e); err == nil || !strings.Contains(err.Error(), "1 channels in 10 classes, the data has 3 and 10") {
		t.Error(err)
	}
}

// The teacher's gradients are clipped as the configuration says: to next to nothing
// they move no weight by more than Adam's epsilon lets them.
func TestTeacherIsClipped(t *testing.T) {
	var weights [2][]byte
	for i, clip := range []float64{0, 1e-12} {
		e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
		e.Config.Teacher.Images, e.Config.Teacher.Clip = 32, clip
		if err := stage.Teacher(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		weights[i] = tensors(t, e.Path(stage.TeacherFile))["out.2.bias"].Data
	}
	off := func(i int) bool { return slices.ContainsFunc(weights[i], func(b byte) bool { return b != 0 }) }
	if len(weights[0]) == 0 || !off(0) {
		t.Errorf("nothing trains without clipping: %d bytes", len(weights[0]))
	}
	values, err := checkpoint.Float32s(checkpoint.Tensor{DType: checkpoint.F32, Shape: []int{len(weights[1]) / 4}, Data: weights[1]})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if math.Abs(float64(v)) > 1e-6 {
			t.Fatalf("a clipped weight moved by %g", v)
		}
	}
}
