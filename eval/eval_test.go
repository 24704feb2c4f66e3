package eval

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/torch"
)

// pool is a network that is told apart by its numbers alone: the means of the
// 16 quarters of quarters of an image, and logits for two classes, dark and light.
type pool struct {
	channels int
	seen     int // images
}

func (p *pool) Info() NetworkInfo {
	return NetworkInfo{Name: "pool", SHA256: "0123", Dimensions: 16 * p.channels, Channels: p.channels, Input: "divided by 255", Device: testdevice.Device(), Classes: []string{"dark", "light"}}
}

func (p *pool) Answer(s *torch.Scope, images *torch.Tensor) Answer {
	p.seen += images.Dim(0)
	n := images.Dim(0)
	x := s.Scale(s.To(images, torch.Float32), 1./255)
	f := s.Reshape(s.Resize(x, 4, 4, torch.Area), n, -1)
	light := s.Reshape(s.Mean(f, 1), n, 1)
	return Answer{Features: f, Spatial: s.Scale(f, 2), Logits: s.Cat(1, s.Affine(light, -1, 1), light)}
}

func (p *pool) Close() {}

// noise are n images (n,c,size,size), every other one lighter.
func noise(seed uint64, n, c, size int) []uint8 {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]uint8, n*c*size*size)
	for i := range out {
		out[i] = uint8(r.IntN(120) + i/(c*size*size)%2*100)
	}
	return out
}

// writeArchive writes images (n,c,size,size) and their classes, 0 and 1 in turn.
func writeArchive(t *testing.T, pixels []uint8, n, c, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.npz")
	last, labels := make([]uint8, len(pixels)), make([]int64, n)
	for i := range n {
		area := c * size * size
		channelsLast(last[i*area:(i+1)*area], pixels[i*area:(i+1)*area], c)
		labels[i] = int64(i % 2)
	}
	fatal(t, data.WriteNPZ(path, last, n, size, size, c, labels))
	return path
}

// writeFolder writes images as PNG files below "dark" and "light" in turn.
func writeFolder(t *testing.T, pixels []uint8, n, c, size int) string {
	t.Helper()
	folder := t.TempDir()
	for i, img := range data.ToImages(pixels, n, c, size, size) {
		dir := filepath.Join(folder, []string{"dark", "light"}[i%2])
		fatal(t, os.MkdirAll(dir, 0o777))
		fatal(t, data.WritePNG(filepath.Join(dir, fmt.Sprintf("%03d.png", i)), img))
	}
	return folder
}

func writeZip(t *testing.T, pixels []uint8, n, c, size int) string {
	t.Helper()
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	for i, img := range data.ToImages(pixels, n, c, size, size) {
		w, err := archive.Create(fmt.Sprintf("%03d.png", i))
		fatal(t, err)
		fatal(t, png.Encode(w, img))
	}
	fatal(t, archive.Close())
	path := filepath.Join(t.TempDir(), "images.zip")
	fatal(t, os.WriteFile(path, content.Bytes(), 0o666))
	return path
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "%!") {
			t.Errorf("error %v, want one line with %q", err, part)
		}
	}
}

// modelFile is the embedded model as a file.
func modelFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generator-32.safetensors")
	fatal(t, os.WriteFile(path, models.FashionMNIST, 0o666))
	return path
}

// runWithModel makes a run with the embedded model in it and returns its path.
func runWithModel(t *testing.T, dir string) string {
	t.Helper()
	run, err := checkpoint.CreateRun(dir, []byte("name = 'x'\n"))
	fatal(t, err)
	path := filepath.Join(dir, "generator-32.safetensors")
	fatal(t, os.WriteFile(path, models.FashionMNIST, 0o666))
	fatal(t, run.Close())
	return path
}

func openRun(t *testing.T, dir string) *checkpoint.Run {
	t.Helper()
	run, err := checkpoint.OpenRun(dir)
	fatal(t, err)
	t.Cleanup(func() { run.Close() })
	return run
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	fatal(t, err)
	return string(content)
}
