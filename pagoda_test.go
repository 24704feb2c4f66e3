package pagoda

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// embedded is the embedded model, which must leave no tensor behind.
func embedded(t *testing.T) *Model {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	before := torch.LiveTensors()
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		if n := torch.LiveTensors(); n != before {
			t.Errorf("%d tensors live, %d before", n, before)
		}
	})
	return m
}

func pixels(t *testing.T, m *Model, r Request) ([]uint8, []int64) {
	t.Helper()
	x, labels, err := m.Pixels(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return x, labels
}

// tiny writes the weights of an untrained network.
func tiny(t *testing.T, stage string, change func(*unet.Config)) string {
	t.Helper()
	c := tinyADM()
	change(c)
	return untrained(t, stage, network.Config{ADM: c})
}

func tinyADM() *unet.Config {
	return &unet.Config{InputSize: 4, Channels: 3, ModelChannels: 8, EncoderMult: []float64{1}, DecoderMult: []float64{1, 1},
		ModelChannelsHigh: 8, ResBlocks: 1, ResBlocksHigh: 1, Heads: 1, HeadOrder: unet.Legacy, FiLM: true, ResBlockScale: true, Groups: 4}
}

func untrained(t *testing.T, stage string, c network.Config) string {
	t.Helper()
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	params := nn.NewParams(s, 1)
	if _, err := network.New(params.Root(), c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), stage+".safetensors")
	if err := network.Save(path, params, network.Description{Stage: stage, Preset: "tiny", Architecture: c}); err != nil {
		t.Fatal(err)
	}
	return path
}

// A generator of the other kind makes pictures too.
func TestEDMGenerator(t *testing.T) {
	c := edm.Config{Architecture: edm.SongUNet, Resolution: 8, Channels: 3, LabelDim: 2, ModelChannels: 8, ChannelMult: []int{1},
		EmbedMult: 4, Blocks: 1, NoiseMult: 1, ResampleFilter: []float64{1, 1}}
	m, err := Open(untrained(t, "generator", network.Config{EDM: &c}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pictures, err := m.Generate(t.Context(), Request{N: 2, Classes: []int{1}})
	if err != nil || len(pictures) != 2 || pictures[0].Bounds().Dx() != 8 || len(m.Info().Classes) != 2 {
		t.Errorf("%d pictures, %+v, %v", len(pictures), m.Info(), err)
	}
}

// A picture depends on the seed, its number and its class, not on what is made with it.
func TestPicturesDoNotDependOnEachOther(t *testing.T) {
	m := embedded(t)
	all, labels := pixels(t, m, Request{N: 64, Seed: 7})
	for _, n := range []int{1, 3, 17} {
		if x, _ := pixels(t, m, Request{N: n, Seed: 7}); !bytes.Equal(x, all[:len(x)]) {
			t.Errorf("the first %d pictures differ from those of 64", n)
		}
	}
	size := len(all) / 64
	for _, first := range []int{1, 16, 37} {
		x, of := pixels(t, m, Request{First: first, N: 20, Seed: 7})
		if !bytes.Equal(x, all[first*size:][:20*size]) || of[0] != labels[first] {
			t.Errorf("pictures %d to %d made alone differ from those of 64", first, first+19)
		}
	}
	trousers, _ := pixels(t, m, Request{N: 22, Seed: 7, Classes: []int{1}})
	for _, i := range []int{1, 11, 21} {
		if labels[i] != 1 || !bytes.Equal(trousers[i*size:][:size], all[i*size:][:size]) {
			t.Errorf("picture %d of class %d differs when the others are of another class", i, labels[i])
		}
	}
	if other, _ := pixels(t, m, Request{N: 1, Seed: 8}); bytes.Equal(other, all[:size]) {
		t.Error("two seeds give the same picture")
	}
}

// The shipped model computes many pictures at once, a network of full size one at a time.
func TestBlock(t *testing.T) {
	for preset, want := range map[string]int{"demo": 16, "imagenet-64": 1, "imagenet-512": 1} {
		c, err := config.Load(preset)
		if err != nil {
			t.Fatal(err)
		}
		info, err := describe(network.Description{Architecture: c.Generator(len(c.Grow))})
		if err != nil {
			t.Fatal(err)
		}
		if got := info.block(); got != want {
			t.Errorf("%s: %d pictures at once, want %d", preset, got, want)
		}
	}
}

// Random weights make pictures with something in them, the same each time.
func TestUntrained(t *testing.T) {
	a := network.Config{ADM: tinyADM()}
	a.ADM.Classes = 2
	var pictures [2][]uint8
	for i := range pictures {
		m, err := Options{Precision: "float32"}.Untrained(a)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		pictures[i], _ = pixels(t, m, Request{N: 2})
		if info := m.Info(); info.Parameters != a.Parameters() || info.FLOPs <= 0 || len(info.Classes) != 2 || m.Precision() != torch.Float32 {
			t.Errorf("%+v", info)
		}
	}
	if x := pictures[0]; !bytes.Equal(x, pictures[1]) || slices.Min(x) == slices.Max(x) {
		t.Errorf("pixels from %d to %d", slices.Min(x), slices.Max(x))
	}
	a.ADM.InputSize = 0
	if _, err := (Options{}).Untrained(a); err == nil {
		t.Error("an impossible network was made")
	}
}

func TestGenerateMakesImages(t *testing.T) {
	m := embedded(t)
	var told []int
	pictures, err := m.Generate(t.Context(), Request{N: 18, Progress: func(done, total int) { told = append(told, done, total) }})
	if err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	if _, grey := pictures[0].(*image.Gray); !grey || len(pictures) != 18 || pictures[0].Bounds().Dx() != info.Resolution {
		t.Errorf("%d pictures, %T of %v", len(pictures), pictures[0], pictures[0].Bounds())
	}
	if len(told) != 4 || told[2] != 18 || told[3] != 18 {
		t.Errorf("progress %v", told)
	}
	if none, err := m.Generate(t.Context(), Request{}); err != nil || len(none) != 0 {
		t.Error(none, err)
	}
}

func TestUnconditionalColour(t *testing.T) {
	m, err := Open(tiny(t, "generator", func(*unet.Config) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pictures, err := m.Generate(t.Context(), Request{N: 2})
	if err != nil {
		t.Fatal(err)
	}
	// The untrained head answers 0 everywhere, the middle of the range.
	if r, _, b, _ := pictures[1].At(7, 7).RGBA(); r>>8 != 128 || b>>8 != 128 || pictures[1].Bounds().Dy() != 8 {
		t.Errorf("%v of %v", pictures[1].At(7, 7), pictures[1].Bounds())
	}
	if _, err := m.Generate(t.Context(), Request{N: 1, Classes: []int{0}}); !errors.Is(err, ErrClass) {
		t.Error(err)
	}
}

// Pictures are the same when they share a block with those of other requests.
func TestSeveralGoroutinesShareAModel(t *testing.T) {
	m := embedded(t)
	requests := []Request{{N: 1, Seed: 3}, {N: 20, Seed: 4, Classes: []int{5}}, {N: 2, First: 7, Seed: 3}, {N: 1, Seed: 3, Classes: []int{9}}}
	var want [4][]uint8
	for i, r := range requests {
		want[i], _ = pixels(t, m, r)
	}
	m.queue.turn <- struct{}{} // until all are waiting
	var group sync.WaitGroup
	for i, r := range requests {
		group.Go(func() {
			if x, _, err := m.Pixels(t.Context(), r); err != nil || !bytes.Equal(x, want[i]) {
				t.Error("pictures differ", r, err)
			}
		})
	}
	for waiting := 0; waiting < len(requests); runtime.Gosched() {
		m.queue.change(func() { waiting = len(m.queue.orders) })
	}
	<-m.queue.turn
	group.Wait()
}

// Many callers who want one picture each.
func BenchmarkSingles(b *testing.B) {
	m, err := Default()
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := m.Generate(context.Background(), Request{N: 1}); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestGenerateStopsWithItsContext(t *testing.T) {
	m := embedded(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	_, err := m.Generate(ctx, Request{N: 1000, Progress: func(n, _ int) { done = n; cancel() }})
	if !errors.Is(err, context.Canceled) || done > m.Info().block() {
		t.Errorf("%v after %d pictures", err, done)
	}
}

func TestClosedModelIsAnError(t *testing.T) {
	m := embedded(t)
	m.Close()
	if _, err := m.Generate(t.Context(), Request{N: 1}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The classes of mirror images are the network's alone: none can be asked for, none is in turn.
func TestMirrorClassesAreNotOffered(t *testing.T) {
	a := tinyADM()
	a.Classes = 4
	info, err := describe(network.Description{Architecture: network.Config{ADM: a}, ClassNames: []string{"shoe", "bag"}, MirrorClasses: true})
	if err != nil || !slices.Equal(info.Classes, []string{"shoe", "bag"}) {
		t.Errorf("%v, %v", info.Classes, err)
	}
}

func TestClassByName(t *testing.T) {
	info := Info{Classes: []string{"T-shirt/top", "Trouser", "Bag"}}
	for name, want := range map[string]int{"bag": 2, "Trouser": 1, "T-SHIRT/TOP": 0, "2": 2} {
		if i, err := info.Class(name); i != want || err != nil {
			t.Errorf("%s: %d, %v", name, i, err)
		}
	}
	for name, mention := range map[string]string{"truoser": `"Trouser"`, "3": "0 to 2", "-1": "0 to 2"} {
		if _, err := info.Class(name); !errors.Is(err, ErrClass) || !strings.Contains(err.Error(), mention) {
			t.Errorf("%s: %v, want a mention of %s", name, err, mention)
		}
	}
	digits := Info{Classes: []string{"0", "1", "10", "2"}} // folders are in the order of their names
	for name, want := range map[string]int{"2": 3, "10": 2, "3": 3} {
		if i, err := digits.Class(name); i != want || err != nil {
			t.Errorf("%s: %d, %v", name, i, err)
		}
	}
	if _, err := (Info{}).Class("bag"); !errors.Is(err, ErrClass) {
		t.Error(err)
	}
}

func TestFilesThatAreNoGenerator(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.safetensors")
	weights := map[string]checkpoint.Tensor{"w": checkpoint.FromFloat32s([]float32{1, 2}, 2)}
	if err := checkpoint.Write(other, weights, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.safetensors")
	content := bytes.Clone(models.FashionMNIST)
	content[len(content)-1] ^= 1
	cut := filepath.Join(dir, "cut.safetensors")
	for path, text := range map[string][]byte{damaged: content, cut: content[:len(content)/2]} {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path    string
		want    error
		mention string
	}{
		{other, ErrNotModel, "1 tensors (F32), 0.0 MB, metadata format"},
		{tiny(t, "teacher", func(*unet.Config) {}), ErrNotGenerator, "teacher"},
		{damaged, checkpoint.ErrChecksum, damaged},
		{tiny(t, "generator", func(c *unet.Config) { c.Channels = 4 }), nil, "4 channels"},
		{cut, checkpoint.ErrOffsets, cut},
		{filepath.Join(dir, "missing"), fs.ErrNotExist, "missing"},
	} {
		before := torch.LiveTensors()
		_, err := Open(c.path)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.mention) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.path, err)
		}
		if n := torch.LiveTensors(); n != before {
			t.Errorf("%s: %d tensors live, %d before", c.path, n, before)
		}
	}
}

func TestEmbeddedModelIsSmall(t *testing.T) {
	info := embedded(t).Info()
	if len(models.FashionMNIST) > 4<<20 || info.Resolution != 32 || len(info.Classes) != 10 || !info.Half {
		t.Errorf("%d bytes, %+v", len(models.FashionMNIST), info)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Precision: "int8"}, {Precision: "float16"}, {Device: "tpu"}, {Device: "cuda:99"}} {
		if m, err := o.Default(); err == nil {
			m.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
	fast := embedded(t)
	exact, err := Options{Precision: "float32"}.Default()
	if err != nil {
		t.Fatal(err)
	}
	defer exact.Close()
	x, _ := pixels(t, exact, Request{N: 16, Seed: 3})
	y, _ := pixels(t, fast, Request{N: 16, Seed: 3})
	off := 0
	for i := range x {
		off += max(int(x[i])-int(y[i]), int(y[i])-int(x[i]))
	}
	if mean := float64(off) / float64(len(x)); mean > 1 {
		t.Errorf("pixels in the default precision are off by %.2f on average", mean)
	}
}
