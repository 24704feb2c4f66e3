package pagoda

import (
	"errors"
	"fmt"
	"sync"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/models"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/torch"
)

// ErrClosed is returned by the methods of a [Model] after [Model.Close].
var ErrClosed = errors.New("the model is closed")

// Model is a one-step generator, ready to make pictures. Its methods may be
// called by several goroutines at once: one computation keeps all cores busy, and
// makes pictures of several requests together.
type Model struct {
	info    Info
	net     *network.Network
	scope   *torch.Scope // owns the weights
	compute torch.DType
	work    *torch.Scope  // child of scope, in the precision of products
	thread  *torch.Thread // computes, one block at a time
	queue   *queue
	mu      sync.RWMutex
	closed  bool
}

// Options say how a model computes. The zero value is the processor, in the
// precision it is fastest in.
type Options struct {
	// Device is "cpu", "cuda" or "cuda:N"; CUDA takes a libtorch built for it.
	Device string
	// Precision of convolutions and matrix products: "float32"; "bfloat16", the
	// default where the device multiplies it in hardware; or on CUDA "float16".
	// Weights are float32.
	Precision string
}

// Open is [Options.Open] with the zero Options.
func Open(path string) (*Model, error) { return Options{}.Open(path) }

// Default is [Options.Default] with the zero Options.
func Default() (*Model, error) { return Options{}.Default() }

// Open loads the generator in a safetensors file. It returns [ErrNotModel]
// for other weights and [ErrNotGenerator] for a teacher, the errors of package
// checkpoint for a damaged file and those of torch.Load for a missing engine.
func (o Options) Open(path string) (*Model, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Verify(); errors.Is(err, checkpoint.ErrChecksum) {
		return nil, fmt.Errorf("%s is damaged, get or make it again: %w", path, err)
	}
	return o.load(path, f)
}

// Default loads the generator that is part of the program: Fashion-MNIST, ten
// kinds of clothing, grey, 32×32 pixels. Its errors are those of torch.Load.
func (o Options) Default() (*Model, error) {
	f, err := checkpoint.Parse(models.FashionMNIST)
	if err != nil {
		return nil, err
	}
	return o.load("the embedded model", f)
}

// Untrained makes a generator of random weights, which makes noise as fast and in
// as much memory as a trained one makes pictures. Its errors are those of an
// impossible architecture and of torch.Load.
func (o Options) Untrained(a network.Config) (*Model, error) {
	const name = "the untrained network"
	d := network.Description{Stage: network.Generator, Architecture: a}
	info, err := describe(d)
	if err != nil {
		return nil, fmt.Errorf("%s is impossible: %w", name, err)
	}
	return o.start(name, info, func(s *torch.Scope) (*network.Network, error) { return network.Random(s, d, 1) })
}

// resolve turns the options into what the engine wants.
func (o Options) resolve() (device torch.Device, compute torch.DType, err error) {
	if device, err = torch.ParseDevice(o.Device); err != nil {
		return device, compute, err
	}
	compute, err = torch.ParsePrecision(o.Precision, device)
	return device, compute, err
}

func (o Options) load(name string, f *checkpoint.File) (*Model, error) {
	info, err := inspect(name, f)
	if err != nil {
		return nil, err
	}
	if info.Stage != network.Generator {
		return nil, fmt.Errorf("%s holds a %s, %w; take the generator-*.safetensors of its run", name, info.Stage, ErrNotGenerator)
	}
	return o.start(name, info, func(s *torch.Scope) (*network.Network, error) { return network.Load(s, f) })
}

// start makes a model of the network that build makes.
func (o Options) start(name string, info Info, build func(*torch.Scope) (*network.Network, error)) (*Model, error) {
	if info.Channels != 1 && info.Channels != 3 {
		return nil, fmt.Errorf("%s makes images of %d channels: only grey (1) and RGB (3) are pictures", name, info.Channels)
	}
	if err := torch.Load(); err != nil {
		return nil, err
	}
	device, compute, err := o.resolve()
	if err != nil {
		return nil, err
	}
	m := &Model{info: info, compute: compute, thread: torch.NewThread(), queue: newQueue()}
	err = m.thread.Do(func() (err error) {
		m.scope = torch.NewScope(device)
		m.work = m.scope.WithCompute(compute)
		m.net, err = build(m.scope)
		return err
	})
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// Precision is that of the model's convolutions and matrix products.
func (m *Model) Precision() torch.DType { return m.compute }

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Close frees the weights once the block being computed is done. Closing twice is harmless.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		if m.scope != nil {
			m.scope.Close()
		}
		m.thread.Close()
	}
	return nil
}
