package eval

import (
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/data"
)

// Statistics made here say the same as the images, as far as they go.
func TestStatisticsStandForImages(t *testing.T) {
	const n = 600
	real, samples := writeArchive(t, noise(1, n, 1, 8), n, 1, 8), writeArchive(t, noise(2, 50, 1, 8), 50, 1, 8)
	path := filepath.Join(t.TempDir(), "stats.npz")
	judge := func(real string) *Result {
		t.Helper()
		r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: samples, Real: real, Repeats: 1})
		fatal(t, err)
		return r
	}
	want := judge(real)
	for _, c := range []struct {
		o    StatisticsOptions
		keys []string // of the figures
	}{
		{StatisticsOptions{}, []string{"fd", "sfid", "accuracy"}},
		{StatisticsOptions{Activations: true}, []string{"fd", "sfid", "kid", "precision", "recall", "density", "coverage", "accuracy"}},
		{StatisticsOptions{Images: n}, []string{"fd", "sfid", "kid", "precision", "recall", "density", "coverage", "accuracy"}},
	} {
		c.o.Network, c.o.Source = &pool{channels: 1}, real
		r, err := WriteStatistics(t.Context(), path, c.o)
		fatal(t, err)
		if p := r.Protocol; p.Count != n || p.Samples.N != n || p.Network.SHA256 != "0123" || p.Engine == "" || r.Warnings != nil {
			t.Errorf("%+v", r)
		}
		got := judge(path)
		var keys []string
		for _, f := range got.Figures {
			keys = append(keys, f.Key)
			if w := want.Figure(f.Key).Mean; math.Abs(f.Mean-w) > 1e-9*math.Abs(w) {
				t.Errorf("%+v: %s is %v, want %v", c.o, f.Key, f.Mean, w)
			}
		}
		if !slices.Equal(keys, c.keys) {
			t.Errorf("%+v: figures %v, want %v", c.o, keys, c.keys)
		}
		if p := got.Protocol.Real; p.Count != n || !strings.HasPrefix(p.Statistics, "from "+path+" (600 of "+real+", 8×8 grey)") {
			t.Errorf("%+v", p)
		}
	}
	_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: samples, Real: path, Repeats: 1, Sheet: t.TempDir()})
	fatal(t, err) // the file has images
	other := &renamed{pool{channels: 1}}
	_, err = Evaluate(t.Context(), Options{Setup: Setup{Network: other}, Samples: samples, Real: path, Repeats: 1})
	wantError(t, err, "statistics are of another feature network, sha256 0123")
}

// renamed is a network with other weights.
type renamed struct{ pool }

func (r *renamed) Info() NetworkInfo {
	info := r.pool.Info()
	info.SHA256 = "4567"
	return info
}

// Images are kept as the network sees them: with three channels if it wants three.
func TestStatisticsKeepImages(t *testing.T) {
	pixels := noise(1, 40, 1, 8)
	path := filepath.Join(t.TempDir(), "stats.npz")
	o := StatisticsOptions{Setup: Setup{Network: &pool{channels: 3}}, Source: writeArchive(t, pixels, 40, 1, 8), Images: 35}
	_, err := WriteStatistics(t.Context(), path, o)
	fatal(t, err)
	source := open(t, path)
	if info := source.Info(); info.N != 35 || info.C != 3 {
		t.Errorf("%+v", info)
	}
	kept, err := subset(open(t, o.Source), 35, 0)
	fatal(t, err)
	got, _, err := source.Read(t.Context(), 34, 1)
	fatal(t, err)
	last := kept.(*subsetSource).chosen[34]
	if !slices.Equal(got, slices.Repeat(pixels[last*64:(last+1)*64], 3)) {
		t.Error("the image differs")
	}
}

func TestBadStatistics(t *testing.T) {
	samples := writeArchive(t, noise(2, 50, 1, 8), 50, 1, 8)
	eye := make([]float64, 256)
	for i := range 16 {
		eye[i*17] = 1
	}
	mu, sigma := data.Array{Name: "mu", Shape: []int{16}, Elements: make([]float64, 16)}, data.Array{Name: "sigma", Shape: []int{16, 16}, Elements: eye}
	for part, arrays := range map[string][]data.Array{
		"no array sigma, but mu":            {mu},
		"but sigma of the shape [256]":      {mu, {Name: "sigma", Shape: []int{256}, Elements: eye}},
		"are of 2 features, pool has 16":    {{Name: "mu", Shape: []int{2}, Elements: []float64{1, 2}}, {Name: "sigma", Shape: []int{2, 2}, Elements: []float64{1, 0, 0, 1}}},
		"array sigma holds NaN, number 0 ":  {mu, {Name: "sigma", Shape: []int{16, 16}, Elements: slices.Concat([]float64{math.NaN()}, eye[1:])}},
		"want (N,D)":                        {mu, sigma, {Name: "activations", Shape: []int{4}, Elements: []float32{1, 2, 3, 4}}},
		"count of images has the shape [2]": {mu, sigma, {Name: "count", Shape: []int{2}, Elements: []int64{1, 2}}},
		"statistics of -1 images":           {mu, sigma, {Name: "count", Shape: []int{1}, Elements: []int64{-1}}},
		"no array sigma_s":                  {mu, sigma, {Name: "mu_s", Shape: []int{1}, Elements: []float64{1}}},
	} {
		path := filepath.Join(t.TempDir(), "x.npz")
		fatal(t, data.WriteArrays(path, arrays...))
		_, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: samples, Real: path, Repeats: 1})
		wantError(t, err, part)
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	fatal(t, data.WriteArrays(path, mu, sigma))
	o := Options{Setup: Setup{Network: &pool{channels: 1}}, Samples: samples, Real: path, Repeats: 1}
	r, err := Evaluate(t.Context(), o)
	fatal(t, err)
	if text := r.Protocol.Lines()[1].Text; !strings.Contains(text, "mean and covariance of an unknown number of images, from") {
		t.Error(text)
	}
	o.Sheet = t.TempDir()
	network := &pool{channels: 1}
	o.Network = network
	_, err = Evaluate(t.Context(), o)
	wantError(t, err, "a sheet needs real images")
	features := data.Array{Name: "activations", Shape: []int{10, 16}, Elements: make([]float32, 160)}
	fatal(t, data.WriteArrays(path, mu, sigma, features))
	_, err = Evaluate(t.Context(), o)
	wantError(t, err, "the sheet: the real images: ", "holds no array arr_0")
	if network.seen > 0 {
		t.Errorf("%d images were seen before", network.seen)
	}
}

// The reference code's own arithmetic, in Python, finds the same distance from
// our statistics, and statistics that it writes are accepted.
func TestPythonEvaluatorsAgree(t *testing.T) {
	const python = "/usr/bin/python3"
	if exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("needs python3 with numpy")
	}
	const n = 200
	folder := t.TempDir()
	real, samples := filepath.Join(folder, "real.npz"), filepath.Join(folder, "samples.npz")
	for path, seed := range map[string]uint64{real: 1, samples: 2} {
		o := StatisticsOptions{Setup: Setup{Network: &pool{channels: 3}}, Source: writeArchive(t, noise(seed, n, 3, 8), n, 3, 8), Activations: true}
		_, err := WriteStatistics(t.Context(), path, o)
		fatal(t, err)
	}
	theirs := filepath.Join(folder, "theirs.npz")
	const script = `
import sys, numpy as np
real, samples = [dict(np.load(p)) for p in sys.argv[1:3]]
a, b = real["activations"].astype(np.float64), samples["activations"].astype(np.float64)
assert np.allclose(real["mu"], a.mean(0), rtol=1e-12) and np.allclose(real["sigma"], np.cov(a, rowvar=False), rtol=1e-9, atol=1e-15)
assert np.allclose(real["mu_s"], 2 * real["mu"]) and np.allclose(real["sigma_s"], 4 * real["sigma"]) and int(real["count"]) == len(a)
roots = np.sqrt(np.linalg.eigvals(samples["sigma"] @ real["sigma"]).astype(complex))
print(np.square(samples["mu"] - real["mu"]).sum() + np.trace(samples["sigma"] + real["sigma"]) - 2 * roots.sum().real)
np.savez_compressed(sys.argv[3], mu=a.mean(0), sigma=np.cov(a, rowvar=False))`
	out, err := exec.Command(python, "-c", script, real, samples, theirs).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := Evaluate(t.Context(), Options{Setup: Setup{Network: &pool{channels: 3}}, Samples: writeArchive(t, noise(2, n, 3, 8), n, 3, 8), Real: theirs, Repeats: 1})
	fatal(t, err)
	want, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	fatal(t, err)
	if got := r.Figure("fd").Mean; math.Abs(got/want-1) > 1e-6 {
		t.Errorf("%v, in Python %v", got, want)
	}
}
