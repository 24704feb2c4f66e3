// Package nn has the layers the networks are made of and the store of their
// parameters. A layer is a struct of tensors with a Forward method; a network
// is a struct of layers. Parameters are named as in the reference's
// state_dict, by the path from the network to the layer.
package nn

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/torch"
)

// Params are the named tensors of one network, in the order they were made.
// They live as long as the scope given to NewParams.
type Params struct {
	scope  *torch.Scope // nil: shapes alone
	seed   uint64
	blank  bool // no initial values
	random bool // kernels that would start at zero do not
	names  []string
	byName map[string]entry
	work   []spent
}

type entry struct {
	tensor *torch.Tensor
	shape  []int
	buffer bool
}

// NewParams returns an empty store. The initial value of every parameter
// depends on the seed and the parameter's name alone.
func NewParams(scope *torch.Scope, seed uint64) *Params {
	return &Params{scope: scope, seed: seed, byName: map[string]entry{}}
}

// NewBlankParams returns an empty store whose parameters start at zero, for
// weights that are loaded or copied.
func NewBlankParams(scope *torch.Scope) *Params {
	return &Params{scope: scope, blank: true, byName: map[string]entry{}}
}

// NewRandomParams is NewParams for networks that nobody trains: convolutions that
// would start at zero start like the others, so that something comes out.
func NewRandomParams(scope *torch.Scope, seed uint64) *Params {
	p := NewParams(scope, seed)
	p.random = true
	return p
}

// NewShapes returns an empty store without tensors, and so without an engine. A
// network made in it has names, shapes and a number of parameters, and cannot compute.
func NewShapes() *Params { return &Params{blank: true, byName: map[string]entry{}} }

// Trainable returns the parameters that a gradient can be asked for.
func (p *Params) Trainable() []*torch.Tensor {
	var out []*torch.Tensor
	for _, name := range p.names {
		if e := p.byName[name]; !e.buffer && e.tensor.RequiresGrad() {
			out = append(out, e.tensor)
		}
	}
	return out
}

// Tensors returns parameters and buffers in the order they were made.
func (p *Params) Tensors() []*torch.Tensor {
	out := make([]*torch.Tensor, len(p.names))
	for i, name := range p.names {
		out[i] = p.byName[name].tensor
	}
	return out
}

// Names returns the names of Tensors.
func (p *Params) Names() []string { return p.names }

// Tensor returns the tensor of that name, nil when there is none.
func (p *Params) Tensor(name string) *torch.Tensor { return p.byName[name].tensor }

// Shape returns the shape of the tensor of that name, nil when there is none.
func (p *Params) Shape(name string) []int { return p.byName[name].shape }

// Count is the number of parameters, buffers left out.
func (p *Params) Count() int {
	n := 0
	for _, e := range p.byName {
		if !e.buffer {
			n += Product(e.shape)
		}
	}
	return n
}

// Train makes the parameters whose name passes the filter trainable and freezes
// the others; a nil filter trains all.
func (p *Params) Train(filter func(name string) bool) {
	for _, name := range p.names {
		if e := p.byName[name]; !e.buffer {
			e.tensor.RequireGrad(filter == nil || filter(name))
		}
	}
}

// Freeze makes no parameter trainable.
func (p *Params) Freeze() { p.Train(func(string) bool { return false }) }

// add registers a tensor of the store's scope under a full name.
func (p *Params) add(name string, t *torch.Tensor, shape []int, buffer bool) *torch.Tensor {
	if _, taken := p.byName[name]; taken {
		panic("nn: two parameters named " + name)
	}
	p.names = append(p.names, name)
	p.byName[name] = entry{t, shape, buffer}
	return t
}

// Save puts copies of all tensors, float32, into state under prefix+name.
func (p *Params) Save(state map[string]checkpoint.Tensor, prefix string) {
	for _, name := range p.names {
		t := p.byName[name].tensor
		state[prefix+name] = checkpoint.Tensor{DType: checkpoint.F32, Shape: t.Shape(), Data: t.Bytes(torch.Float32)}
	}
}

// Load overwrites all tensors with those of f under prefix+name. Every name must
// be there with the same shape; names of f that the network lacks are ignored.
func (p *Params) Load(f checkpoint.Source, prefix string) error {
	return p.read(f, prefix, func(name string, stored checkpoint.Tensor) error {
		return Fill(p.Tensor(name), stored)
	})
}

// Match says what would make Load fail, and loads nothing.
func (p *Params) Match(f checkpoint.Source, prefix string) error {
	return p.read(f, prefix, func(string, checkpoint.Tensor) error { return nil })
}

func (p *Params) read(f checkpoint.Source, prefix string, use func(name string, stored checkpoint.Tensor) error) error {
	missing, shaped := []string{}, []string{}
	for _, name := range p.names {
		stored, err := f.Tensor(prefix + name)
		switch shape := p.Shape(name); {
		case err != nil:
			missing = append(missing, name)
			continue
		case !slices.Equal(stored.Shape, shape):
			shaped = append(shaped, fmt.Sprintf("%s is %v, not %v", name, stored.Shape, shape))
			continue
		}
		if err := use(name, stored); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	if len(missing)+len(shaped) > 0 {
		return fmt.Errorf("the weights are not of this network: %s", strings.Join(append(
			firstFive("missing", missing), firstFive("mis-shaped", shaped)...), "; "))
	}
	return nil
}

// dtypes are the types of stored tensors that a tensor can be filled from.
var dtypes = map[checkpoint.DType]torch.DType{
	checkpoint.F64: torch.Float64, checkpoint.F32: torch.Float32, checkpoint.F16: torch.Float16,
	checkpoint.BF16: torch.BFloat16, checkpoint.I64: torch.Int64, checkpoint.U8: torch.Uint8,
}

// Fill overwrites t with a stored tensor of the same shape, converting its type.
// Types that no weights have are checkpoint.ErrDType.
func Fill(t *torch.Tensor, stored checkpoint.Tensor) error {
	dtype, ok := dtypes[stored.DType]
	if !ok {
		return fmt.Errorf("%w: %q holds no weights", checkpoint.ErrDType, stored.DType)
	}
	t.Write(stored.Data, dtype)
	return nil
}

func firstFive(what string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > 5 {
		more = fmt.Sprintf(" and %d more", len(names)-5)
		names = names[:5]
	}
	return []string{what + ": " + strings.Join(names, ", ") + more}
}

// CopyFrom overwrites the tensors that other has too, by name and shape, and
// returns the names of those it has not.
func (p *Params) CopyFrom(other *Params) (left []string) {
	for _, name := range p.names {
		o := other.Tensor(name)
		if o == nil || !slices.Equal(other.Shape(name), p.Shape(name)) {
			left = append(left, name)
			continue
		}
		p.Tensor(name).Copy(o)
	}
	return left
}

// Path is a place in a network where parameters are made.
type Path struct {
	params *Params
	prefix string
	size   int // of the images that layers here work on
}

// Root is the path of the network itself.
func (p *Params) Root() Path { return Path{p, "", 1} }

// At descends to a child; elements are joined by dots.
func (p Path) At(elements ...any) Path {
	for _, e := range elements {
		p.prefix += fmt.Sprint(e) + "."
	}
	return p
}

// Tensors are the parameters made so far at the path or below it, buffers left out.
func (p Path) Tensors() []*torch.Tensor {
	var out []*torch.Tensor
	for _, name := range p.params.names {
		if e := p.params.byName[name]; !e.buffer && strings.HasPrefix(name, p.prefix) {
			out = append(out, e.tensor)
		}
	}
	return out
}

// Uniform makes a trainable parameter with values in [-bound,bound).
func (p Path) Uniform(name string, bound float64, shape ...int) *torch.Tensor {
	r := p.random(name)
	return p.fill(name, shape, func() float32 { return float32((2*r.Float64() - 1) * bound) })
}

// Normal makes a trainable parameter with normal values of the given standard deviation.
func (p Path) Normal(name string, std float64, shape ...int) *torch.Tensor {
	r := p.random(name)
	return p.fill(name, shape, func() float32 { return float32(r.NormFloat64() * std) })
}

// Constant makes a trainable parameter filled with a value.
func (p Path) Constant(name string, value float64, shape ...int) *torch.Tensor {
	return p.fill(name, shape, func() float32 { return float32(value) })
}

// Buffer makes a tensor that is saved and loaded but has no gradient.
func (p Path) Buffer(name string, value float64, shape ...int) *torch.Tensor {
	return p.fillBuffer(name, shape, func() float32 { return float32(value) })
}

// NormalBuffer is Buffer with normal values, for fixed random projections.
func (p Path) NormalBuffer(name string, std float64, shape ...int) *torch.Tensor {
	r := p.random(name)
	return p.fillBuffer(name, shape, func() float32 { return float32(r.NormFloat64() * std) })
}

// ValueBuffer is Buffer with the given values, row-major.
func (p Path) ValueBuffer(name string, values []float32, shape ...int) *torch.Tensor {
	return p.fillBuffer(name, shape, func() float32 {
		v := values[0]
		values = values[1:]
		return v
	})
}

func (p Path) fillBuffer(name string, shape []int, value func() float32) *torch.Tensor {
	var t *torch.Tensor
	if s := p.params.scope; s != nil {
		t = s.FromFloat32(draw(shape, value), shape...)
	}
	return p.params.add(p.prefix+name, t, shape, true)
}

func (p Path) random(name string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(p.prefix + name))
	return rand.New(rand.NewPCG(p.params.seed, h.Sum64()))
}

// fill makes a parameter; kernels lie in the layout of the images they meet.
func (p Path) fill(name string, shape []int, value func() float32) *torch.Tensor {
	s := p.params.scope
	var t *torch.Tensor
	switch {
	case s == nil:
		return p.params.add(p.prefix+name, nil, shape, false)
	case len(shape) == 4:
		t = s.ZerosChannelsLast(shape[0], shape[1], shape[2], shape[3])
	default:
		t = s.Zeros(shape...)
	}
	if !p.params.blank {
		t.WriteFloat32(draw(shape, value))
	}
	t.RequireGrad(true)
	return p.params.add(p.prefix+name, t, shape, false)
}

// draw calls value for every element, in row-major order.
func draw(shape []int, value func() float32) []float32 {
	values := make([]float32, Product(shape))
	for i := range values {
		values[i] = value()
	}
	return values
}

// Product is the number of elements of a shape.
func Product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// fanInBound is PyTorch's default bound for weights and biases of convolutions and linear layers, 1/sqrt(fan in).
func fanInBound(fanIn int) float64 { return 1 / math.Sqrt(float64(fanIn)) }
