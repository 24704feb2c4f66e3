package stage

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
	"github.com/pagoda-go/pagoda/unet"
)

// These are the steps of the demo that bench compares with the same in plain
// PyTorch (bench/pytorch.py, same names). The pixels are random: time and
// memory do not depend on them.

func BenchmarkTeacher(b *testing.B) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		t, err := newTeacher(e, root)
		if err != nil {
			b.Fatal(err)
		}
		steps(b, e, root, t)
	})
}

// BenchmarkDistill is a generator and a discriminator step at base resolution.
func BenchmarkDistill(b *testing.B) { adversarial(b, 0) }

// BenchmarkGrow is a generator and a discriminator step of the last growth.
func BenchmarkGrow(b *testing.B) { adversarial(b, len(demo(b).Grow)) }

func adversarial(b *testing.B, growth int) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		untrained := nn.NewParams(root, 1)
		newFeatures(e, untrained.Root())
		state := map[string]checkpoint.Tensor{}
		untrained.Save(state, "")
		if err := checkpoint.Write(e.Path(FeaturesFile), state, nil); err != nil {
			b.Fatal(err)
		}
		generatorSteps(b, e, root, growth)
	})
}

// BenchmarkDistillPaper is a generator and a discriminator step on the paper's
// feature networks and objective, at base resolution.
func BenchmarkDistillPaper(b *testing.B) { paper(b, 0) }

// BenchmarkGrowPaper is the same in a growth that doubles the resolution.
func BenchmarkGrowPaper(b *testing.B) { paper(b, 1) }

func paper(b *testing.B, growth int) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		configure(b, e, "../bench/paper.toml")
		b.Setenv("XDG_CACHE_HOME", b.TempDir())
		writeBackbone(b, config.EfficientNet, func(p nn.Path) { features.NewEfficientNet(p) })
		writeBackbone(b, config.DeiT, func(p nn.Path) { features.NewViT(p, features.DeiTBase) })
		debug.FreeOSMemory() // the weights are not to count as memory of the steps
		generatorSteps(b, e, root, growth)
	})
}

// writeBackbone puts random weights where `pagoda features fetch` puts the published ones.
func writeBackbone(b *testing.B, name string, build func(nn.Path)) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	params, state := nn.NewParams(s, 1), map[string]checkpoint.Tensor{}
	build(params.Root())
	params.Save(state, "")
	folder, err := fetch.Folder()
	if err != nil {
		b.Fatal(err)
	}
	f, err := fetch.Lookup(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		b.Fatal(err)
	}
	if err := pytorch.Write(filepath.Join(folder, f.File), state); err != nil {
		b.Fatal(err)
	}
}

// generatorSteps measures steps of stage 2 (growth 0) or of a growth of stage 3.
func generatorSteps(b *testing.B, e *Env, root *torch.Scope, growth int) {
	writePairs(b, e)
	c, settings, from := e.architecture(growth), e.Config.Distill, 0
	if growth > 0 {
		settings, from = e.Config.Grow[growth-1].Distill, e.architecture(growth-1).ADM.FinestBlock()
	}
	t, err := newGenerator(e, root, "benchmark", c, settings, from)
	if err != nil {
		b.Fatal(err)
	}
	defer t.close()
	steps(b, e, root, t)
}

func writePairs(b *testing.B, e *Env) {
	meta := e.pairsMeta("")
	w, err := pairs.Create(e.Path(PairsDir), meta)
	if err != nil {
		b.Fatal(err)
	}
	z := make([]float32, meta.Count*meta.C*meta.H*meta.W)
	r := diffusion.Random(1, 0)
	for i := range z {
		z[i] = float32(diffusion.SigmaMax * r.NormFloat64())
	}
	if err := w.Append(z); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkInvert takes one batch a few steps along the ODE; all steps cost the same.
func BenchmarkInvert(b *testing.B) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		e.Config.Invert.Steps = 4
		inv := &inversion{env: e, net: frozen(b, root, e.architecture(0))}
		meta, batch := e.pairsMeta(""), e.Config.Invert.Batch
		measure(b, e.working(root), batch, func(s *torch.Scope) {
			inv.work = s
			if _, err := inv.encode(context.Background(), meta, 0, batch); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// BenchmarkSampleDemo makes 64 images in one step of the demo's grown network.
func BenchmarkSampleDemo(b *testing.B) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		sample(b, e, root, e.architecture(len(e.Config.Grow)), 64)
	})
}

// BenchmarkSampleADM makes 8 images of 64×64×3 in one step of an ADM U-Net of a common shape.
func BenchmarkSampleADM(b *testing.B) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		mult := []float64{1, 2, 3, 4}
		sample(b, e, root, network.Config{ADM: &unet.Config{
			InputSize: 64, Channels: 3, ModelChannels: 64, EncoderMult: mult, DecoderMult: mult, ResBlocks: 2,
			Attention: []int{2, 4, 8}, HeadChannels: 64, HeadOrder: unet.Legacy, Classes: 10,
			FiLM: true, ResBlockScale: true, Groups: 32,
		}}, 8)
	})
}

func sample(b *testing.B, e *Env, root *torch.Scope, c network.Config, n int) {
	net := frozen(b, root, c)
	z := diffusion.Latents(root, 1, 0, n, c.Channels(), c.InputSize(), c.InputSize())
	measure(b, e.working(root), n, func(s *torch.Scope) {
		net.Generate(s, z, make([]int64, n)).Float32s()
	})
}

// BenchmarkTeacherFull1, 4 and 64 are training steps of the paper's ImageNet-64
// network, 296 million parameters, on so many images.
func BenchmarkTeacherFull1(b *testing.B)  { teacherFull(b, 1) }
func BenchmarkTeacherFull4(b *testing.B)  { teacherFull(b, 4) }
func BenchmarkTeacherFull64(b *testing.B) { teacherFull(b, 64) }

func teacherFull(b *testing.B, batch int) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		configure(b, e, "imagenet-64")
		e.Config.Teacher.Batch = batch
		t, err := newTeacher(e, root)
		if err != nil {
			b.Fatal(err)
		}
		steps(b, e, root, t)
	})
}

// BenchmarkSampleFull1, 4 and 64 make so many images of 64×64×3 in one step of that network.
func BenchmarkSampleFull1(b *testing.B)  { sampleFull(b, "imagenet-64", 1) }
func BenchmarkSampleFull4(b *testing.B)  { sampleFull(b, "imagenet-64", 4) }
func BenchmarkSampleFull64(b *testing.B) { sampleFull(b, "imagenet-64", 64) }

// BenchmarkSample512 makes an image of 512×512×3 in one step of that network grown.
func BenchmarkSample512(b *testing.B) { sampleFull(b, "imagenet-512", 1) }

func sampleFull(b *testing.B, preset string, n int) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		configure(b, e, preset)
		sample(b, e, root, e.architecture(len(e.Config.Grow)), n)
	})
}

// configure makes the run one of another configuration, in its own precision.
func configure(b *testing.B, e *Env, name string) {
	c, err := config.Load(name)
	if err != nil {
		b.Fatal(err)
	}
	c.Precision = e.Config.Precision
	e.Config = c
	e.Data = randomData(c, 256, c.Data.Classes)
}

// BenchmarkPeak is the convolution that the machine should be fastest at, the yardstick for the others.
func BenchmarkPeak(b *testing.B) {
	inBothPrecisions(b, func(b *testing.B, e *Env, root *torch.Scope) {
		work := e.working(root)
		x := work.To(work.ChannelsLast(diffusion.Normal(work, 1, 0, 8, 256, 32, 32)), work.Compute())
		w := work.To(work.ChannelsLast(diffusion.Normal(work, 2, 0, 256, 256, 3, 3)), work.Compute())
		measure(b, work, 8, func(s *torch.Scope) {
			s.Conv2d(x, w, nil, torch.ConvOptions{Padding: 1})
		})
	})
}

// demo is the preset whose steps are measured.
func demo(b *testing.B) *config.Config {
	c, err := config.Load("demo")
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// inBothPrecisions runs a benchmark in each precision that the hardware has.
func inBothPrecisions(b *testing.B, run func(*testing.B, *Env, *torch.Scope)) {
	for _, precision := range []string{"float32", "bfloat16"} {
		b.Run(precision, func(b *testing.B) {
			runtime.LockOSThread() // never unlocked: the thread, and its pool, end with this goroutine
			if err := torch.Load(); err != nil {
				b.Fatal(err)
			}
			if precision == "bfloat16" && torch.Fastest(testdevice.Device()) != torch.BFloat16 {
				b.Skip("this processor only emulates bfloat16")
			}
			c := demo(b)
			c.Precision = precision
			r, err := checkpoint.CreateRun(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			e := &Env{Run: r, Config: c, Data: randomData(c, 60_000, c.Data.Classes), Device: testdevice.Device()}
			root := e.scope()
			defer root.Close()
			run(b, e, root)
		})
	}
}

// randomData has n images of a number of classes.
func randomData(c *config.Config, n, classes int) *data.Dataset {
	d := &data.Dataset{
		Name: "random", C: c.Data.Channels, H: c.Data.Resolution, W: c.Data.Resolution,
		Labels: make([]int32, n), ClassNames: make([]string, classes),
	}
	d.Pixels = make([]uint8, n*d.C*d.H*d.W)
	_, _ = rand.NewChaCha8([32]byte{}).Read(d.Pixels)
	for i := range d.Labels {
		d.Labels[i] = int32(i % classes)
	}
	return d
}

// frozen is an untrained network.
func frozen(b *testing.B, root *torch.Scope, c network.Config) *network.Network {
	net, err := network.Random(root, network.Description{Architecture: c}, 1)
	if err != nil {
		b.Fatal(err)
	}
	return net
}

func steps(b *testing.B, e *Env, root *torch.Scope, t trainer) {
	seen := int64(0)
	measure(b, e.working(root), t.batch(), func(s *torch.Scope) {
		t.step(s, seen)
		seen += int64(t.batch())
	})
}

// measure reports the time of op, which handles a number of images, and the rate of its counted work.
func measure(b *testing.B, work *torch.Scope, images int, op func(s *torch.Scope)) {
	once := func(s *torch.Scope) {
		op(s)
		s.Full(0, 1).Item() // waits for the device
		s.Close()
	}
	flops := 0.
	once(work.CountFLOPs(&flops)) // warms up too
	for b.Loop() {
		once(work.Child())
	}
	b.ReportMetric(float64(images), "images/op")
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
