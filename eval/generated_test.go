package eval

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// A teacher's samples do not depend on how they are read, and are judged like a generator's.
func TestTeacherSource(t *testing.T) {
	e := finishedRun(t)
	live := torch.LiveTensors()
	path := e.Path(stage.TeacherFile)
	teacher, err := Open(path, Generation{Seed: 7})
	fatal(t, err)
	info := teacher.Info()
	if info.H != 8 || len(info.Classes) != 2 || info.Model.Steps != e.Config.Invert.Steps || info.Model.Stage != "teacher" || info.Model.Order != "in turn" {
		t.Errorf("%+v, %+v", info, info.Model)
	}
	whole, labels, err := teacher.Read(t.Context(), 0, 40)
	fatal(t, err)
	part, some, err := teacher.Read(t.Context(), 16, 20)
	fatal(t, err)
	if !slices.Equal(part, whole[16*info.bytes():36*info.bytes()]) || !slices.Equal(some, labels[16:36]) || labels[3] != 1 {
		t.Error("images or labels differ")
	}
	if size := info.bytes(); slices.Equal(whole[:size], whole[16*size:17*size]) {
		t.Error("two images of a class are the same")
	}
	more, err := Open(path, Generation{Seed: 7, Steps: 5})
	fatal(t, err)
	other, _, err := more.Read(t.Context(), 0, 1)
	fatal(t, err)
	if more.Info().Model.Steps != 5 || slices.Equal(other, whole[:info.bytes()]) {
		t.Error("five steps are as two")
	}
	fatal(t, more.Close())
	fatal(t, teacher.Close())
	if n := torch.LiveTensors(); n != live {
		t.Errorf("%d tensors are left behind", n-live)
	}
	o := Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: path, Real: writeArchive(t, noise(1, 30, 1, 16), 30, 1, 16), N: 10, Repeats: 2}
	fatal(t, e.Run.Close())
	r, err := Evaluate(t.Context(), o)
	fatal(t, err)
	if text := r.Protocol.Lines()[0].Text; len(r.Figure("fd").Values) != 2 || !strings.Contains(text, ", 2 steps of Heun's method") {
		t.Error(text)
	}
	o.Precision = "float8"
	_, err = Evaluate(t.Context(), o)
	wantError(t, err, `precision is "float8"`)
}

// What a run's generators make of the pairs is compared with the images at their resolution.
func TestReconstructRun(t *testing.T) {
	e := finishedRun(t)
	dir := e.Run.Dir
	e.Config.Data.Path = filepath.Dir(strings.TrimSuffix(e.Data.Name, "/"))
	const n = 60
	m := pairs.Meta{Dataset: e.Data.Name, DatasetSHA256: e.Data.SHA256(), Images: n, TeacherSHA256: "0", Count: 2 * n, Mirror: true, C: 1, H: 8, W: 8, SigmaMax: 80, Steps: 2}
	w, err := pairs.Create(filepath.Join(dir, stage.PairsDir), m)
	fatal(t, err)
	latents := make([]float32, 2*n*64)
	for i, v := range noise(5, 2*n, 1, 8) {
		latents[i] = float32(v) - 110
	}
	fatal(t, w.Append(latents))
	fatal(t, w.Close())
	folder := t.TempDir()
	fatal(t, os.Rename(writeFolder(t, noise(1, n, 1, 16), n, 1, 16), filepath.Join(folder, "train")))
	o := ReconstructionOptions{Data: folder}
	o.Precision = "float32"
	for _, c := range []struct {
		name string
		size int
	}{{dir, 16}, {e.Path(stage.GeneratorFile(8)), 8}} {
		r, err := ReconstructRun(t.Context(), c.name, o)
		fatal(t, err)
		p := r.Protocol
		if p.Count != 2*n || p.Samples.H != c.size || p.Samples.Model.SHA256 == "" || p.Real.Source.H != c.size || p.Engine == "" {
			t.Errorf("%+v", p)
		}
		// The same from the images themselves: pair 1 is the mirror image of image 0.
		store, err := pairs.Open(filepath.Join(dir, stage.PairsDir))
		fatal(t, err)
		defer store.Close()
		train, err := data.Load("folder", folder, data.Train, 16, 1)
		fatal(t, err)
		train.MirrorClasses = true
		made, err := openReconstructions(e.Path(stage.GeneratorFile(c.size)), o.Generation, train, store)
		fatal(t, err)
		g, _, err := made.Read(t.Context(), 0, 2*n)
		fatal(t, err)
		fatal(t, made.Close())
		indices, mirrored := make([]int, 2*n), make([]bool, 2*n)
		for i := range indices {
			indices[i], mirrored[i] = i/2, i%2 == 1
		}
		pixels, _ := train.Gather(indices, mirrored)
		whole := newDatasetSource("x", &data.Dataset{Pixels: pixels, Labels: make([]int32, 2*n), C: 1, H: 16, W: 16})
		reduced, err := sameSize(whole, p.Samples)
		fatal(t, err)
		x, _, err := reduced.Read(t.Context(), 0, 2*n)
		fatal(t, err)
		psnr, err := metrics.PSNR(interleaved(x, 2*n, p.Samples), interleaved(g, 2*n, p.Samples))
		fatal(t, err)
		if d := r.Figure("psnr").Mean - metrics.Mean(psnr); d > 1e-4 || d < -1e-4 {
			t.Errorf("PSNR %v, want %v", r.Figure("psnr").Mean, metrics.Mean(psnr))
		}
	}
	o.N = 20
	r, err := ReconstructRun(t.Context(), dir, o)
	fatal(t, err)
	if p := r.Protocol; p.Count != 20 || !strings.Contains(p.Samples.Subset, "from 120") || p.Samples.Subset != p.Real.Source.Subset {
		t.Errorf("%+v", p)
	}
	_, err = ReconstructRun(t.Context(), e.Path(stage.TeacherFile), o)
	wantError(t, err, "holds no generator")
	o.Data = t.TempDir()
	fatal(t, os.Rename(writeFolder(t, noise(2, n, 1, 16), n, 1, 16), filepath.Join(o.Data, "train")))
	_, err = ReconstructRun(t.Context(), dir, o)
	wantError(t, err, "are of other images")
	_, err = ReconstructRun(t.Context(), t.TempDir(), o)
	wantError(t, err, checkpoint.ErrNoRun.Error())
}

// Files that are paired without having the same names are told of.
func TestReconstructTellsOfOtherNames(t *testing.T) {
	a, b := writeFolder(t, noise(1, 4, 1, 16), 4, 1, 16), writeFolder(t, noise(2, 4, 1, 16), 4, 1, 16)
	r, err := Reconstruct(t.Context(), a, b, ReconstructionOptions{Variants: true})
	fatal(t, err)
	if len(r.Warnings) > 0 || r.Figure("ssim_gaussian").Name == "" || r.Figure("psnr_published").Name != "" {
		t.Errorf("%+v", r)
	}
	fatal(t, os.Rename(filepath.Join(b, "dark", "000.png"), filepath.Join(b, "dark", "001.png")))
	r, err = Reconstruct(t.Context(), a, b, ReconstructionOptions{})
	fatal(t, err)
	if text := strings.Join(r.Warnings, ""); !strings.Contains(text, "dark/001.png with dark/000.png") {
		t.Error(text)
	}
	name := writeArchive(t, noise(1, 40, 1, 16), 40, 1, 16)
	r, err = Reconstruct(t.Context(), name, writeArchive(t, noise(2, 40, 1, 16), 40, 1, 16), ReconstructionOptions{Variants: true})
	fatal(t, err)
	if a, b := r.Figure("psnr").Mean, r.Figure("psnr_published").Mean; !(b <= a && b > a-1) || !(r.Figure("ssim_published").Mean < 1) {
		t.Errorf("%+v", r.Figures)
	}
}

// ruled is a network with a rule of input.
type ruled struct {
	pool
	sha256, rule string
}

func (r *ruled) Info() NetworkInfo {
	info := r.pool.Info()
	info.SHA256, info.Rule = r.sha256, r.rule
	return info
}

// Statistics are of one rule of input; both forms of FID's Inception are one network.
func TestStatisticsRememberTheInput(t *testing.T) {
	weights, err := fetch.Lookup(inception)
	fatal(t, err)
	script, err := fetch.Lookup(inceptionScript)
	fatal(t, err)
	name, path := writeArchive(t, noise(1, 30, 1, 8), 30, 1, 8), filepath.Join(t.TempDir(), "stats.npz")
	for _, c := range []struct {
		made, used ruled
		part       string // of the error
	}{
		{ruled{sha256: weights.SHA256, rule: InputTensorFlow}, ruled{sha256: script.SHA256, rule: InputBytes}, ""},
		{ruled{sha256: script.SHA256, rule: InputBytes}, ruled{sha256: weights.SHA256, rule: InputTensorFlow}, ""},
		{ruled{sha256: script.SHA256, rule: InputBytes}, ruled{sha256: weights.SHA256, rule: InputPyTorch}, "another feature network"},
		{ruled{sha256: weights.SHA256, rule: InputTensorFlow}, ruled{sha256: weights.SHA256, rule: InputPyTorch}, "made with --input tensorflow, this is pytorch-fid"},
		{ruled{sha256: "0", rule: InputBytes}, ruled{sha256: "0", rule: InputImageNet}, "made with --input uint8, this is imagenet"},
	} {
		c.made.channels, c.used.channels = 1, 1
		_, err := WriteStatistics(t.Context(), path, StatisticsOptions{Setup: Setup{Network: &c.made}, Source: name})
		fatal(t, err)
		_, err = Evaluate(t.Context(), Options{Setup: Setup{Network: &c.used}, Samples: name, Real: path, Repeats: 1})
		if c.part == "" {
			fatal(t, err)
		} else {
			wantError(t, err, c.part)
		}
	}
}

// What ADM's and EDM's evaluators read is there as they read it, without Python
// to try it: arr_0 as bytes (N,H,W,3), the statistics as float64.
func TestArraysOfStatistics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats.npz")
	o := StatisticsOptions{Setup: Setup{Network: &pool{channels: 3}}, Source: writeArchive(t, noise(1, 40, 3, 8), 40, 3, 8), Images: 40, Activations: true}
	_, err := WriteStatistics(t.Context(), path, o)
	fatal(t, err)
	archive, err := data.OpenNPZ(path)
	fatal(t, err)
	defer archive.Close()
	for name, want := range map[string]struct {
		of    string
		shape []int
	}{
		"mu": {"<f8", []int{48}}, "sigma": {"<f8", []int{48, 48}}, "mu_s": {"<f8", []int{48}}, "sigma_s": {"<f8", []int{48, 48}},
		"arr_0": {"|u1", []int{40, 8, 8, 3}}, "activations": {"<f4", []int{40, 48}}, "count": {"<i8", nil},
	} {
		a, err := archive.Open(name)
		fatal(t, err)
		if a.Type != want.of || !slices.Equal(a.Shape, want.shape) {
			t.Errorf("%s is %v of %s, want %v of %s", name, a.Shape, a.Type, want.shape, want.of)
		}
		fatal(t, a.Close())
	}
}
