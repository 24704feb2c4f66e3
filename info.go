package pagoda

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/network"
)

// The ways a file of weights can be no generator, and a request for a class fail.
var (
	// ErrNotModel: the weights are not those of a network of this program. The
	// error that wraps it says what the file holds.
	ErrNotModel = errors.New("no network of this program")
	// ErrNotGenerator: the network is a diffusion teacher, which makes no picture in one step.
	ErrNotGenerator = errors.New("not a one-step generator")
	// ErrClass: the model has no such class.
	ErrClass = errors.New("no such class")
)

// Info describes a network: what a file of weights says about itself.
type Info struct {
	Stage        string   // "generator", or "teacher" for the diffusion model it was distilled from
	Preset       string   // configuration it was trained by
	Classes      []string // names, or numbers where it has none; empty when the model is unconditional
	Channels     int      // of a picture: 1 grey, 3 RGB
	Resolution   int      // of a picture, pixels a side
	Parameters   int
	FLOPs        float64 // work of a picture: floating-point operations of convolutions and matrix products
	Half         bool    // weights are stored in half precision
	ImagesSeen   int64   // in training, by this stage
	Architecture network.Config
}

// Inspect describes the network in a safetensors file without loading it, a
// teacher's too. Errors are those of checkpoint.Open, [ErrNotModel], and that of
// an impossible architecture.
func Inspect(path string) (Info, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	return inspect(path, f)
}

func inspect(name string, f *checkpoint.File) (Info, error) {
	d, err := network.Describe(f)
	if err != nil {
		return Info{}, fmt.Errorf("%s holds %s, but %w", name, contents(f), ErrNotModel)
	}
	info, err := describe(d)
	if err != nil {
		return Info{}, fmt.Errorf("%s describes an impossible network: %w", name, err)
	}
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return Info{}, err
		}
		info.Half = info.Half || t.DType == checkpoint.F16
	}
	return info, nil
}

// describe is what follows from a description alone.
func describe(d network.Description) (Info, error) {
	a := d.Architecture
	shapes, err := a.Shapes()
	if err != nil {
		return Info{}, err
	}
	return Info{
		Stage: d.Stage, Preset: d.Preset, Classes: d.ClassList(), Channels: a.Channels(),
		Resolution: a.OutputSize(), Parameters: shapes.Count(), FLOPs: shapes.Work(nil).FLOPs, ImagesSeen: d.ImagesSeen, Architecture: a,
	}, nil
}

// contents says in a few words what a safetensors file holds.
func contents(f *checkpoint.File) string {
	bytes, types := 0, map[string]bool{}
	for _, name := range f.Names() {
		if t, err := f.Tensor(name); err == nil {
			bytes += len(t.Data)
			types[string(t.DType)] = true
		}
	}
	text := fmt.Sprintf("%d tensors (%s), %.1f MB", len(f.Names()), strings.Join(slices.Sorted(maps.Keys(types)), ", "), float64(bytes)/1e6)
	if keys := slices.Sorted(maps.Keys(f.Metadata())); len(keys) > 0 {
		text += ", metadata " + strings.Join(keys, ", ")
	}
	return text
}

// Class returns the index of a class given by its exact name, or else by the index
// itself, or else by its name in upper or lower case: "2" is the class called so
// where there is one. For others it returns [ErrClass] with the nearest name.
func (i Info) Class(name string) (int, error) {
	if index := slices.Index(i.Classes, name); index >= 0 {
		return index, nil
	}
	if index, err := strconv.Atoi(name); err == nil || len(i.Classes) == 0 {
		return index, i.check(index)
	}
	distance := func(class string) int {
		return levenshtein.ComputeDistance(strings.ToLower(class), strings.ToLower(name))
	}
	nearest := slices.MinFunc(i.Classes, func(a, b string) int { return distance(a) - distance(b) })
	if strings.EqualFold(nearest, name) {
		return slices.Index(i.Classes, nearest), nil
	}
	return 0, fmt.Errorf("%w: %q; did you mean %q? The model has %s", ErrClass, name, nearest, i.ClassList())
}

// ClassList names the classes in one line, the first ten of many.
func (i Info) ClassList() string {
	if len(i.Classes) > 10 {
		return fmt.Sprintf("%s … (%d)", strings.Join(i.Classes[:10], ", "), len(i.Classes))
	}
	return strings.Join(i.Classes, ", ")
}

// check returns ErrClass, with what there is, for an index out of range.
func (i Info) check(class int) error {
	switch {
	case len(i.Classes) == 0:
		return fmt.Errorf("%w: the model is unconditional and has none", ErrClass)
	case class < 0 || class >= len(i.Classes):
		return fmt.Errorf("%w: %d; the model's are 0 to %d: %s", ErrClass, class, len(i.Classes)-1, i.ClassList())
	}
	return nil
}
