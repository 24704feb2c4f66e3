package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// pooled is what the network pool says, computed here.
func pooled(pixels []uint8, n, size int) metrics.Answers {
	a := metrics.Answers{Features: metrics.Features{N: n, D: 16}, Logits: metrics.Features{N: n, D: 2}}
	cell := size / 4
	for i := range n {
		sum := float32(0)
		for at := range 16 {
			var v float32
			for p := range cell * cell {
				v += float32(pixels[(i*size+at/4*cell+p/cell)*size+at%4*cell+p%cell])
			}
			v /= 255 * float32(cell*cell)
			a.Features.Values, sum = append(a.Features.Values, v), sum+v
		}
		a.Logits.Values = append(a.Logits.Values, 1-sum/16, sum/16)
		a.Labels = append(a.Labels, i%2)
	}
	return a
}

// The figures are those of package metrics on the network's answers.
func TestEvaluate(t *testing.T) {
	const n, m, size = 150, 90, 8
	realPixels, pixels := noise(1, n, 1, size), noise(2, m, 1, size)
	r, err := Evaluate(t.Context(), Options{
		Setup: Setup{Network: &pool{channels: 1}}, Samples: writeArchive(t, pixels, m, 1, size), Real: writeArchive(t, realPixels, n, 1, size), Repeats: 1,
	})
	fatal(t, err)
	real, err := metrics.NewReference(pooled(realPixels, n, size), nil)
	fatal(t, err)
	samples := pooled(pixels, m, size)
	want, err := real.Compare(samples, nil)
	fatal(t, err)
	accuracy, err := metrics.Accuracy(samples.Logits, samples.Labels)
	fatal(t, err)
	for key, want := range map[string]float64{
		"fd": want.Frechet, "sfid": 4 * want.Frechet, "kid": want.KID, "precision": want.Precision, "recall": want.Recall,
		"density": want.Density, "coverage": want.Coverage, "diversity": metrics.Mean(want.Diversity), "diversity_minimum": slices.Min(want.Diversity), "accuracy": accuracy,
	} {
		f := r.Figure(key)
		if !(math.Abs(f.Mean-want) <= 1e-4*math.Abs(want)+1e-9) || f.Min != f.Mean || f.Max != f.Mean || len(f.Values) != 1 || f.Name == "" {
			t.Errorf("%s: %+v, want %v", key, f, want)
		}
	}
	if len(r.Figures) != 10 {
		t.Errorf("%d figures", len(r.Figures))
	}
	text := strings.Join(r.Warnings, "\n")
	for _, part := range []string{"fewer than 10000 real images", "fewer than 10000 samples: of the Fréchet distance, about", "of the sFID, about", "coverage is too low"} {
		if !strings.Contains(text, part) {
			t.Errorf("no warning %q in %q", part, r.Warnings)
		}
	}
	if f := r.Figure("fd"); f.Bias == nil || f.Bias.Estimate <= 0 || f.Bias.Deviation <= 0 || f.Bias.AtLeast || f.Residual <= 0 {
		t.Errorf("%+v", f)
	}
	if f, s := r.Figure("fd").Bias, r.Figure("sfid").Bias; s == nil || math.Abs(s.Estimate/f.Estimate-4) > 1e-3 {
		t.Errorf("bias %+v and %+v", f, s)
	}
	p := r.Protocol
	if p.Count != m || p.Real.Count != n || p.Real.Source.N != n || p.Network.SHA256 != "0123" || p.Seeds != nil || !strings.Contains(p.Engine, "libtorch") {
		t.Errorf("%+v", p)
	}
	encoded, err := json.Marshal(r)
	fatal(t, err)
	var again Result
	fatal(t, json.Unmarshal(encoded, &again))
	if again.Figure("kid").Mean != r.Figure("kid").Mean || again.Figure("fd").Bias.Estimate != r.Figure("fd").Bias.Estimate || !math.IsNaN(again.Figure("none").Mean) {
		t.Error("not the same after JSON")
	}
}

// A model is judged once for every seed; its classes are matched by name.
func TestRepeats(t *testing.T) {
	network := &pool{channels: 3}
	o := Options{Setup: Setup{Network: network}, Real: writeFolder(t, noise(1, 40, 3, 32), 40, 3, 32), N: 20, Generation: Generation{Seed: 3}, Repeats: 2}
	r, err := Evaluate(t.Context(), o)
	fatal(t, err)
	f := r.Figure("fd")
	if len(f.Values) != 2 || f.Values[0] == f.Values[1] || f.Min != slices.Min(f.Values) || f.Max != slices.Max(f.Values) || f.Mean != (f.Values[0]+f.Values[1])/2 {
		t.Errorf("%+v", f)
	}
	if network.seen != 40+20+20 || !slices.Equal(r.Protocol.Seeds, []uint64{3, 4}) || r.Protocol.Channels != "grey repeated to 3 channels" {
		t.Errorf("%d images seen, %+v", network.seen, r.Protocol)
	}
	if !math.IsNaN(r.Figure("accuracy").Mean) { // ten kinds of clothing are neither dark nor light
		t.Error("an accuracy without common classes")
	}
	o.Repeats, o.Seed = 1, 4
	second, err := Evaluate(t.Context(), o)
	fatal(t, err)
	if second.Figure("fd").Mean != f.Values[1] {
		t.Errorf("seed 4 gave %v before, %v now", f.Values[1], second.Figure("fd").Mean)
	}
	lines := r.Protocol.Lines()
	if !strings.Contains(lines[0].Text, "20 of the embedded model, 32×32 grey, classes in turn, seeds 3 to 4, made in "+torch.Fastest(torch.CPU).String()+"; EMA weights") {
		t.Error(lines[0].Text)
	}
}

func TestRealImagesAreReduced(t *testing.T) {
	real := writeArchive(t, noise(1, 30, 1, 16), 30, 1, 16)
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: writeArchive(t, noise(1, 30, 1, 8), 30, 1, 8), Real: real, Repeats: 1})
	fatal(t, err)
	if r.Protocol.Real.Source.Resize != "16×16 reduced to 8×8 by averaging areas" {
		t.Errorf("%+v", r.Protocol.Real.Source)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	good := writeArchive(t, noise(1, 30, 1, 8), 30, 1, 8)
	colour := writeArchive(t, noise(1, 30, 3, 8), 30, 3, 8)
	few := writeArchive(t, noise(1, 4, 1, 8), 4, 1, 8)
	for _, c := range []struct {
		part string
		o    Options
	}{
		{"4 vectors, at least 6 are needed", Options{Samples: few, Real: good}},
		{"the real features have 4 vectors", Options{Samples: good, Real: few}},
		{"have 3 channels, pool sees 1", Options{Samples: colour, Real: good}},
		{"has 30 images, 31 were asked for", Options{Samples: good, Real: good, N: 31}},
		{"are 8×8, those of the embedded model 32×32", Options{Real: good, N: 10}},
		{"only a model can be judged 2 times", Options{Samples: good, Real: good, Repeats: 2}},
		{"judged -1 times, but 1 to 1000", Options{Samples: good, Real: good, Repeats: -1}},
		{"judged 1000000000 times", Options{Real: good, Repeats: 1e9}},
		{"-1 samples", Options{Samples: good, Real: good, N: -1}},
		{"the embedded model makes images", Options{Samples: good, Real: ""}},
	} {
		c.o.Network = &pool{channels: 1}
		_, err := Evaluate(t.Context(), c.o)
		wantError(t, err, c.part)
	}
	network := &pool{channels: 1}
	_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: network}, Samples: colour, Real: good, Repeats: 1})
	wantError(t, err, "have 3 channels")
	_, err = Evaluate(t.Context(), Options{Setup: Setup{Network: network}, Samples: good, Real: good, Sheet: good})
	wantError(t, err, "no folder for the sheet")
	if network.seen > 0 {
		t.Errorf("%d real images were seen before", network.seen)
	}
}

// broken answers with a number that is none to image 70.
type broken struct{ pool }

func (b *broken) Answer(s *torch.Scope, images *torch.Tensor) Answer {
	a := b.pool.Answer(s, images)
	if b.seen > 70 {
		a.Features = s.Log(s.Affine(a.Features, 0, -1))
	}
	return a
}

func TestNaNFeatures(t *testing.T) {
	name := writeArchive(t, noise(1, 100, 1, 8), 100, 1, 8)
	_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &broken{pool{channels: 1}}}, Samples: name, Real: name, Repeats: 1})
	wantError(t, err, "contain NaN in row 64")
}

// Fewer samples than features are allowed, and warned of.
func TestFewSamplesAreWarnedOf(t *testing.T) {
	name := writeArchive(t, noise(1, 12, 1, 8), 12, 1, 8)
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: name, Real: name, Repeats: 1})
	fatal(t, err)
	text := strings.Join(r.Warnings, "\n")
	for _, part := range []string{"12 real images for 16 features: their covariance is singular", "12 samples for 16 features: their covariance", "of the Fréchet distance, at least about"} {
		if !strings.Contains(text, part) {
			t.Errorf("no warning %q in %q", part, text)
		}
	}
}

// What was stopped goes on from the cache, and comes to the same end.
func TestStoppedEvaluationGoesOn(t *testing.T) {
	const n = 3*shardImages + 100
	name, cache := writeArchive(t, noise(1, n, 1, 8), n, 1, 8), t.TempDir()
	o := Options{Samples: name, Real: writeArchive(t, noise(2, 200, 1, 8), 200, 1, 8), Repeats: 1}
	o.Network = &pool{channels: 1}
	whole, err := Evaluate(t.Context(), o)
	fatal(t, err)

	o.Cache = cache
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = func(part string, done, _ int64, _ string) {
		if part == "samples" && done > 2*shardImages {
			cancel()
		}
	}
	_, err = Evaluate(ctx, o)
	wantError(t, err, "goes on from the features in "+cache)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	second := &pool{channels: 1}
	o.Network, o.Progress = second, nil
	r, err := Evaluate(t.Context(), o)
	fatal(t, err)
	if second.seen != n-2*shardImages {
		t.Errorf("%d images seen again, want the %d after two shards", second.seen, n-2*shardImages)
	}
	for i, f := range r.Figures {
		if want := whole.Figures[i]; f.Key != want.Key || f.Mean != want.Mean {
			t.Errorf("%s is %v, want %v", f.Key, f.Mean, want.Mean)
		}
	}

	damaged, err := filepath.Glob(filepath.Join(cache, "*", "features-00000512.safetensors"))
	fatal(t, err)
	third := &pool{channels: 1} // other images than the first ones
	o.Network, o.N = third, 2*shardImages+50
	r, err = Evaluate(t.Context(), o)
	fatal(t, err)
	if third.seen != o.N || r.Protocol.Count != o.N {
		t.Errorf("%d images seen, want %d", third.seen, o.N)
	}
	o.N = 0
	fatal(t, writeBytes(damaged[0], []byte("no shard")))
	fourth := &pool{channels: 1}
	o.Network = fourth
	_, err = Evaluate(t.Context(), o)
	fatal(t, err)
	if fourth.seen != shardImages {
		t.Errorf("%d images seen, want the damaged shard's %d", fourth.seen, shardImages)
	}

	o.Cache = ""
	_, err = Evaluate(ctx, o)
	wantError(t, err, "with a cache of features it could go on")
}

func TestNothingStaysAlive(t *testing.T) {
	fatal(t, torch.Load())
	before := torch.LiveTensors()
	_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Real: writeArchive(t, noise(1, 30, 1, 32), 30, 1, 32), N: 10, Repeats: 1})
	fatal(t, err)
	if n := torch.LiveTensors(); n != before {
		t.Errorf("%d tensors live, %d before", n, before)
	}
}

// A model's line in the log of its run says what was found.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	name := runWithModel(t, dir)
	o := Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: name, Real: writeArchive(t, noise(1, 30, 1, 32), 30, 1, 32), N: 10, Generation: Generation{Seed: 5, Options: pagoda.Options{Precision: "float32"}}, Repeats: 1}
	r, err := Evaluate(t.Context(), o)
	fatal(t, err)
	run := openRun(t, dir)
	lines, err := run.ReadLog()
	fatal(t, err)
	values := map[string]float64{}
	if len(lines) != 1 || lines[0].Stage != "eval" || lines[0].ImagesSeen != r.Protocol.Samples.Model.ImagesSeen || json.Unmarshal(lines[0].Values, &values) != nil {
		t.Fatalf("%+v", lines)
	}
	if values["pool.fd"] != r.Figure("fd").Mean || values["samples"] != 10 || values["seed"] != 5 || r.Protocol.Samples.Model.Precision != "float32" {
		t.Error(values)
	}
	r, err = Evaluate(t.Context(), o) // the run is locked now
	fatal(t, err)
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "not in the run's log") {
		t.Error(text)
	}
	lines, err = run.ReadLog()
	if err != nil || len(lines) != 1 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestSheet(t *testing.T) {
	const n, m = 40, 25
	pixels := noise(1, n, 1, 8)
	real, folder := writeArchive(t, pixels, n, 1, 8), filepath.Join(t.TempDir(), "a", "sheet")
	o := Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: writeArchive(t, append(noise(2, m-1, 1, 8), pixels[3*64:4*64]...), m, 1, 8), Real: real, Sheet: folder, Repeats: 1}
	_, err := Evaluate(t.Context(), o)
	fatal(t, err)
	sheet, err := data.OpenFiles(folder)
	fatal(t, err)
	if sheet.W != 17*66+2 || sheet.H != 10*66+2 {
		t.Errorf("a sheet of %d×%d", sheet.H, sheet.W)
	}
	picture, err := sheet.Pixels(0)
	fatal(t, err)
	cell := func(column int) []uint8 { // of the first row, one pixel for each of the image's
		var out []uint8
		for y := range 8 {
			for x := range 8 {
				out = append(out, picture[(2+y*8)*sheet.W+2+column*66+x*8])
			}
		}
		return out
	}
	if copied := pixels[3*64 : 4*64]; !slices.Equal(cell(9), copied) || !slices.Equal(cell(11), copied) {
		t.Error("the copied image is not first of the most suspicious ones, beside its original")
	}
	if !slices.Equal(cell(0), noise(2, 1, 1, 8)) || !slices.Equal(cell(1), slices.Repeat([]uint8{255}, 64)) {
		t.Error("the first sample is not first, or no space after it")
	}
	page := readFile(t, filepath.Join(folder, SheetPage))
	for _, part := range []string{"The closest sample is at 0;", "of the 40 images of", "that of a real image to the nearest other is", "Fréchet distance", "sha256 0123"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page does not say %q", part)
		}
	}
	picturePath := filepath.Join(folder, SheetPicture)
	fatal(t, os.Remove(picturePath))
	fatal(t, os.Mkdir(picturePath, 0o777))
	r, err := Evaluate(t.Context(), o)
	wantError(t, err, "no sheet: cannot write "+picturePath)
	if r == nil || math.IsNaN(r.Figure("fd").Mean) {
		t.Errorf("no figures with it: %+v", r)
	}
	fatal(t, os.Remove(picturePath))
	o.Train = writeArchive(t, noise(5, 30, 1, 8), 30, 1, 8)
	_, err = Evaluate(t.Context(), o)
	fatal(t, err)
	if page := readFile(t, filepath.Join(folder, SheetPage)); !strings.Contains(page, "of the 30 images of") || !strings.Contains(page, "to the nearest of them is") {
		t.Error("the page is not of the training images")
	}
}

// Labels find the network's classes by name, or by the number where that is the name.
func TestClassesOf(t *testing.T) {
	net := NetworkInfo{Classes: []string{"Bag", "Coat", "Dress"}}
	for _, test := range []struct{ source, want string }{{"", "0 1 2"}, {"dress bag hat", "2 0 -1"}, {"0 1 2", "0 1 2"}, {"2 1 0", "-1 1 -1"}} {
		of := classesOf(SourceInfo{Classes: strings.Fields(test.source)}, net)
		if test.source == "" {
			of = classesOf(SourceInfo{}, net)
		}
		if n := len(strings.Fields(test.source)); n > 0 && (of(n) != -1 || of(-1) != -1) {
			t.Errorf("of classes %q there is one more", test.source)
		}
		if got := fmt.Sprint(of(0), of(1), of(2)); got != test.want {
			t.Errorf("classes %q are %s, want %s", test.source, got, test.want)
		}
	}
}
