package pairs

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

var meta = Meta{
	Dataset: "fashion-mnist-train", DatasetSHA256: "aa", Images: 3000, TeacherSHA256: "bb",
	Count: 5000, Mirror: true, C: 2, H: 3, W: 1, SigmaMax: 80, Steps: 40,
}

// latentsOf returns made-up latents of the pairs from first to end.
func latentsOf(first, end int) []float32 {
	size := meta.latentSize()
	latents := make([]float32, (end-first)*size)
	for i := range latents {
		latents[i] = float32(first*size + i)
	}
	return latents
}

func create(t *testing.T, dir string) *Writer {
	t.Helper()
	w, err := Create(dir, meta)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fill appends batches of 300 from where the writer stands up to end.
func fill(t *testing.T, w *Writer, end int) {
	t.Helper()
	for first := w.Done(); first < end; first += 300 {
		if err := w.Append(latentsOf(first, min(first+300, end))); err != nil {
			t.Fatal(err)
		}
	}
}

func shards(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "latents-*"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func checkComplete(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != meta.Count || s.Meta() != meta {
		t.Errorf("%d pairs, %+v", s.Len(), s.Meta())
	}
	if !slices.Equal(s.Latents(Range(0, meta.Count)), latentsOf(0, meta.Count)) {
		t.Error("the latents are not those appended")
	}
	some := []int{meta.Count - 1, 2100, 2099, 0}
	want := slices.Concat(latentsOf(meta.Count-1, meta.Count), latentsOf(2100, 2101), latentsOf(2099, 2100), latentsOf(0, 1))
	if !slices.Equal(s.Latents(some), want) {
		t.Errorf("the latents of pairs %v are not theirs", some)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "pairs")
	w := create(t, dir)
	fill(t, w, meta.Count)
	if w.Done() != meta.Count {
		t.Errorf("%d pairs are on disk without Close", w.Done())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkComplete(t, dir)
	if got := len(shards(t, dir)); got != 3 {
		t.Errorf("%d shards, want 3", got)
	}
	if w := create(t, dir); w.Done() != meta.Count {
		t.Errorf("a complete store has %d pairs when opened again", w.Done())
	}
	if err := w.Append(make([]float32, meta.latentSize())); !errors.Is(err, ErrLatents) {
		t.Errorf("a pair too many: %v, want %v", err, ErrLatents)
	}
}

func TestStopped(t *testing.T) {
	dir := t.TempDir()
	w := create(t, dir)
	fill(t, w, 3000)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "3000 of 5000") {
		t.Errorf("%v, want %v and the counts", err, ErrIncomplete)
	}
	w = create(t, dir)
	if w.Done() != 3000 {
		t.Errorf("%d pairs survived an orderly stop, want 3000", w.Done())
	}
	fill(t, w, meta.Count)
	checkComplete(t, dir)
}

// A slow inversion loses no more than a minute.
func TestSlow(t *testing.T) {
	dir := t.TempDir()
	w := create(t, dir)
	for first := 0; first < 900; first += 300 {
		if first == 300 {
			w.saved = w.saved.Add(-2 * shardTime)
		}
		if err := w.Append(latentsOf(first, first+300)); err != nil {
			t.Fatal(err)
		}
	}
	w = create(t, dir)
	if w.Done() != 600 {
		t.Errorf("%d pairs survived, want the 600 of the first two minutes", w.Done())
	}
	fill(t, w, meta.Count)
	checkComplete(t, dir)
}

// Without Close, as after kill -9, the shards written so far count, and they
// end where a batch ended.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	fill(t, create(t, dir), 3000)
	leftover := filepath.Join(dir, ".pagoda-00.tmp")
	if err := os.WriteFile(leftover, []byte("half a shard"), 0o666); err != nil {
		t.Fatal(err)
	}
	w := create(t, dir)
	if w.Done() != 2100 {
		t.Errorf("%d pairs survived, want 2100", w.Done())
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("the unfinished file is still there")
	}
	fill(t, w, meta.Count)
	checkComplete(t, dir)
}

func TestDamagedShard(t *testing.T) {
	dir := t.TempDir()
	fill(t, create(t, dir), meta.Count)
	damaged := shards(t, dir)[1]
	file, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)/2] ^= 4
	if err := os.WriteFile(damaged, file, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrShard) || !errors.Is(err, checkpoint.ErrChecksum) || !strings.Contains(err.Error(), damaged) {
		t.Errorf("%v, want %v, %v and the path", err, ErrShard, checkpoint.ErrChecksum)
	}
	w := create(t, dir)
	if w.Done() != 2100 || len(shards(t, dir)) != 1 {
		t.Errorf("%d pairs in %d shards are left, want 2100 in 1", w.Done(), len(shards(t, dir)))
	}
	fill(t, w, meta.Count)
	checkComplete(t, dir)
}

func TestForeignShard(t *testing.T) {
	dir := t.TempDir()
	create(t, dir)
	other := meta
	other.W = 7
	if err := writeShard(dir, 0, other, make([]float32, other.latentSize())); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrShard) {
		t.Errorf("%v, want %v", err, ErrShard)
	}
}

func TestOtherMeta(t *testing.T) {
	dir := t.TempDir()
	fill(t, create(t, dir), 2100)
	other := meta
	other.TeacherSHA256, other.Steps = "cc", 10
	_, err := Create(dir, other)
	if !errors.Is(err, ErrOtherStore) || !strings.Contains(err.Error(), "teacher_sha256, steps") {
		t.Errorf("%v, want %v and the differences", err, ErrOtherStore)
	}
	moved := meta
	moved.Dataset = "elsewhere"
	if w, err := Create(dir, moved); err != nil || w.Done() != 2100 {
		t.Errorf("the refused store, its data set moved: %v, %v", w, err)
	}
}

func TestUnusable(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); !errors.Is(err, ErrNoStore) {
		t.Errorf("%v, want %v", err, ErrNoStore)
	}
	for _, text := range []string{"", "{", `{"pairs": 3}`, `{"count": 0}`,
		`{"count": 1, "channels": 4294967296, "height": 4294967296, "width": 1}`,
		`{"images": 9, "count": 3, "mirror": true, "channels": 1, "height": 1, "width": 1}`,
		`{"images": 1, "count": 4, "mirror": true, "channels": 1, "height": 1, "width": 1}`} {
		if err := os.WriteFile(filepath.Join(dir, metaName), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, ErrMeta) {
			t.Errorf("%q: %v, want %v", text, err, ErrMeta)
		}
		if _, err := Create(dir, meta); !errors.Is(err, ErrMeta) {
			t.Errorf("Create on %q: %v, want %v", text, err, ErrMeta)
		}
	}
	if _, err := Create(filepath.Join(dir, "x"), Meta{}); !errors.Is(err, ErrMeta) {
		t.Errorf("%v, want %v", err, ErrMeta)
	}
	if err := create(t, t.TempDir()).Append(make([]float32, 5)); !errors.Is(err, ErrLatents) {
		t.Errorf("part of a latent: %v, want %v", err, ErrLatents)
	}
}

// Some images of a data set, and some pairs of a store, come from all over it.
func TestEvenly(t *testing.T) {
	var images, mirrors, some []int
	m := Meta{Images: 30, Count: 12, Mirror: true}
	for pair := range m.Count {
		image, mirrored := m.Image(pair)
		if mirrored {
			mirrors = append(mirrors, image)
		} else {
			images = append(images, image)
		}
	}
	if want := []int{0, 5, 10, 15, 20, 25}; !slices.Equal(images, want) || !slices.Equal(mirrors, want) {
		t.Errorf("images %v and mirror images %v, want %v", images, mirrors, want)
	}
	for k := range 5 {
		some = append(some, m.Among(k, 5))
	}
	if want := []int{0, 1, 4, 5, 8}; !slices.Equal(some, want) {
		t.Errorf("five pairs %v, want %v", some, want)
	}
	for _, m := range []Meta{{Images: 7, Count: 7}, {Images: 7, Count: 14, Mirror: true}} {
		for pair := range m.Count {
			image, mirrored := m.Image(pair)
			if image != pair*7/m.Count || mirrored != (m.Mirror && pair%2 == 1) || m.Among(pair, m.Count) != pair {
				t.Errorf("%+v: pair %d is image %d, %v, and the %d-th of all", m, pair, image, mirrored, m.Among(pair, m.Count))
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	latents := make([]float32, 400_000)
	for i := range latents {
		latents[i] = float32(80 * (random.NormFloat64() + 0.5))
	}
	s := &Store{meta: meta, shards: []*shard{{latents: checkpoint.FromFloat32s(latents[:100_000]).Data}, {latents: checkpoint.FromFloat32s(latents[100_000:]).Data}}}
	got := s.Statistics()
	if math.Abs(got.Mean-0.5) > 0.01 || math.Abs(got.Std-1) > 0.01 || math.Abs(got.Kurtosis-3) > 0.05 {
		t.Errorf("%+v, want 0.5, 1, 3", got)
	}
}
