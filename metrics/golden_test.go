package metrics

import (
	"fmt"
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
)

// The published evaluators' numbers, on features and images of any size.
func TestGoldenMetrics(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		real, generated := goldenFeatures(f, "in.ref"), goldenFeatures(f, "in.sample")
		goldenFrechet(t, f, real, generated)
		goldenNeighbours(t, f, real, generated)

		kid, err := KID(real, generated)
		near(t, f, "out.kid_whole_set", kid, err)
		n := min(real.N, generated.N)
		kid, err = KID(Features{n, real.D, real.Values[:n*real.D]}, Features{n, real.D, generated.Values[:n*real.D]})
		near(t, f, "out.kid_first_min(N,M)", kid, err)

		logits := goldenFeatures(f, "in.logits")
		score, _, err := InceptionScore(logits, f.Int("inception_score.split_size"))
		near(t, f, "out.inception_score", score, err)
		var probabilities []float64
		logs := make([]float64, logits.D)
		for i := range logits.N {
			logSoftmax(logs, logits.Row(i))
			for _, l := range logs {
				probabilities = append(probabilities, math.Exp(l))
			}
		}
		f.CompareFloats("out.probs", probabilities, 1e-6, 0)

		goldenImages(t, f)
	}, "metrics")
}

func goldenFrechet(t *testing.T, f *golden.File, real, generated Features) {
	a, err := StatisticsOf(real)
	fatal(t, err)
	b, err := StatisticsOf(generated)
	fatal(t, err)
	f.CompareFloats("out.mu_ref", a.Mean, 1e-6, 0)
	f.CompareFloats("out.sigma_ref", a.Covariance, 1e-6, 0)
	f.CompareFloats("out.mu_sample", b.Mean, 1e-6, 0)
	f.CompareFloats("out.sigma_sample", b.Covariance, 1e-6, 0)
	distance, residual, err := Frechet(a, b)
	near(t, f, "out.fid", distance, err)
	if residual > 1e-10 {
		t.Errorf("residual %g", residual)
	}
	means := 0.
	for i := range a.Mean {
		means += (a.Mean[i] - b.Mean[i]) * (a.Mean[i] - b.Mean[i])
	}
	near(t, f, "out.fid_mean_term", means, nil)

	// The trace of the root that the reference takes, stored in float32.
	root := f.Floats("out.sqrtm_sigma_sample_sigma_ref")
	trace, size, want := means-distance, 0., 0.
	for i := range a.Mean {
		trace += a.Covariance[i*len(a.Mean)+i] + b.Covariance[i*len(a.Mean)+i]
		want += 2 * float64(root[i*len(a.Mean)+i])
		size += 2 * math.Abs(float64(root[i*len(a.Mean)+i]))
	}
	if math.Abs(trace-want) > 1e-6*size {
		t.Errorf("the trace of the root is %v, want %v", trace/2, want/2)
	}
}

func goldenNeighbours(t *testing.T, f *golden.File, real, generated Features) {
	precisions, densities := 0, 0
	for k := 1; k < real.N && k < generated.N; k++ {
		if f.Text(fmt.Sprintf("out.precision_k%d.float64", k)) != "" {
			precision, recall, err := PrecisionRecall(real, generated, k)
			exact(t, f, fmt.Sprintf("out.precision_k%d.float64", k), precision, err)
			exact(t, f, fmt.Sprintf("out.recall_k%d.float64", k), recall, err)
			f.CompareFloats(fmt.Sprintf("out.radii2_ref_k%d", k), radii(othersOf(t, real, k), k), 1e-6, 0)
			f.CompareFloats(fmt.Sprintf("out.radii2_sample_k%d", k), radii(othersOf(t, generated, k), k), 1e-6, 0)
			precisions++
		}
		if f.Text(fmt.Sprintf("out.density_k%d", k)) != "" {
			density, coverage, err := DensityCoverage(real, generated, k)
			exact(t, f, fmt.Sprintf("out.density_k%d", k), density, err)
			exact(t, f, fmt.Sprintf("out.coverage_k%d", k), coverage, err)
			distances := radii(othersOf(t, real, k), k)
			for i, r := range distances {
				distances[i] = math.Sqrt(r)
			}
			f.CompareFloats(fmt.Sprintf("out.radii_ref_k%d", k), distances, 1e-6, 0)
			densities++
		}
	}
	if precisions == 0 || densities == 0 {
		t.Errorf("precision and recall were compared %d times, density and coverage %d times", precisions, densities)
	}
}

func othersOf(t *testing.T, f Features, k int) [][]float64 {
	t.Helper()
	nearest, err := nearestOthers(f, k, nil)
	fatal(t, err)
	return nearest
}

func goldenImages(t *testing.T, f *golden.File) {
	a, b := goldenImage(f, "in.img1"), goldenImage(f, "in.img2")
	psnr, err := PSNR(a, b)
	fatal(t, err)
	f.CompareFloats("out.psnr_per_image", psnr, 1e-6, 0)
	for window, name := range []string{"out.ssim_per_image_uniform7", "out.ssim_per_image_gauss11"} {
		ssim, err := SSIM(a, b, Window(window))
		fatal(t, err)
		f.CompareFloats(name, ssim, 1e-6, 0)
	}
	published, err := PSNRAsPublished(a, b)
	near(t, f, "out.psnr_batch_cv2", published, err)
	published, err = SSIMAsPublished(a, b)
	near(t, f, "out.ssim_batch_as_published", published, err)
}

func goldenFeatures(f *golden.File, name string) Features {
	x := f.Tensor(name)
	return Features{x.Dim(0), x.Dim(1), x.Float32s()}
}

func goldenImage(f *golden.File, name string) Images {
	x := f.Tensor(name)
	shape := x.Shape()
	return Images{shape[0], shape[1], shape[2], shape[3], x.Uint8s()}
}

// near allows a relative error of 1e-6, and the rounding of numbers of size 1 for a figure of about 0.
func near(t *testing.T, f *golden.File, key string, got float64, err error) {
	t.Helper()
	fatal(t, err)
	want := stored(t, f, key)
	if d := math.Abs(got - want); !(d <= 1e-6*math.Abs(want)+1e-12) {
		t.Errorf("%s: %v, want %v, off by %.2g", key, got, want, d)
	}
}

func stored(t *testing.T, f *golden.File, key string) float64 {
	t.Helper()
	if f.Text(key) == "" {
		t.Errorf("the file has no %s", key)
	}
	return f.Number(key)
}

// exact allows the rounding of the final division only.
func exact(t *testing.T, f *golden.File, key string, got float64, err error) {
	t.Helper()
	fatal(t, err)
	if want := stored(t, f, key); math.Abs(got-want) > 1e-12 {
		t.Errorf("%s: %v, want %v", key, got, want)
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
