package convert

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
)

// File is a weight file of any kind, open for reading.
type File struct {
	path    string
	weights *pytorch.File
	shapes  map[string][]int
	types   map[checkpoint.DType]bool
	bytes   int      // of all tensors
	prefix  string   // of the network's tensors
	others  []string // prefixes of networks that were passed over

	// What the file says about its network: a description if it is one of this
	// program, the objects if it is a pickle of EDM.
	own     *network.Description
	objects map[string]pytorch.Object
}

// Open maps a weight file of any format that package pytorch reads, and compares
// one of this program with its checksum. Errors are those of packages pytorch and
// checkpoint.
func Open(path string) (*File, error) {
	weights, err := pytorch.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{
		path: path, weights: weights, shapes: map[string][]int{}, types: map[checkpoint.DType]bool{},
		objects: weights.Objects(),
	}
	f.prefix, f.others = prefixes(weights.Names())
	if err = f.list(); err == nil {
		err = f.describe()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// list notes what tensors there are.
func (f *File) list() error {
	for _, name := range f.weights.Names() {
		t, err := f.tensor(name)
		if err != nil {
			return err
		}
		f.shapes[name] = t.Shape
		f.types[t.DType] = true
		f.bytes += len(t.Data)
	}
	return nil
}

// tensor is a tensor of the file. Kernels of 1-D convolutions (out,in,1), which
// guided-diffusion has in attention, become those of 2-D ones (out,in,1,1).
func (f *File) tensor(name string) (checkpoint.Tensor, error) {
	t, err := f.weights.Tensor(name)
	if len(t.Shape) == 3 && t.Shape[2] == 1 {
		t.Shape = append(slices.Clone(t.Shape), 1)
	}
	return t, err
}

// describe reads the description that a file of this program has.
func (f *File) describe() error {
	if f.weights.Format() != pytorch.Safetensors {
		return nil
	}
	file, err := checkpoint.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	d, err := network.Describe(file)
	if err != nil {
		return nil // somebody else's
	}
	f.own = &d
	if err := file.Verify(); errors.Is(err, checkpoint.ErrChecksum) {
		return fmt.Errorf("the file is damaged, get or make it again: %w", err)
	}
	return nil
}

// anchors are parameters of every ADM U-Net, and of every network of EDM.
var anchors = []string{"input_blocks.0.0.weight", "map_layer0.weight"}

// prefixes are what stands before the names of the networks in a file: nothing, or
// wrappers such as "state_dict." or "ema.model.". The chosen one is that of averaged
// weights, or else of the network least wrapped; among equals the first by name.
func prefixes(names []string) (chosen string, others []string) {
	var found []string
	for _, name := range names {
		for _, anchor := range anchors {
			if before, ok := strings.CutSuffix(name, anchor); ok && (before == "" || strings.HasSuffix(before, ".")) {
				found = append(found, before)
			}
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	rank := func(prefix string) int {
		if averaged(prefix) {
			return -1
		}
		return strings.Count(prefix, ".")
	}
	slices.SortStableFunc(found, func(a, b string) int { return rank(a) - rank(b) })
	return found[0], found[1:]
}

// averaged tells whether a prefix is one of weights averaged over training.
func averaged(prefix string) bool {
	return slices.Contains(strings.FieldsFunc(prefix, func(r rune) bool { return r == '.' || r == '_' }), "ema")
}

// stem is the file's name without its ending.
func (f *File) stem() string {
	return strings.TrimSuffix(filepath.Base(f.path), filepath.Ext(f.path))
}

// network are the shapes of the tensors below the prefix, without variances.
func (f *File) network() map[string][]int {
	shapes := map[string][]int{}
	for name, shape := range f.shapes {
		if name, ok := strings.CutPrefix(name, f.prefix); ok {
			shapes[name] = shape
		}
	}
	if f.variances() {
		for _, name := range head {
			shapes[name] = slices.Clone(shapes[name])
			shapes[name][0] /= 2
		}
	}
	return shapes
}

// Own tells whether the file is one of this program, which describes itself.
func (f *File) Own() bool { return f.own != nil }

// String says in a few words what the file holds.
func (f *File) String() string {
	var types []string
	for _, t := range slices.Sorted(maps.Keys(f.types)) {
		types = append(types, string(t))
	}
	return fmt.Sprintf("%d tensors (%s), %.1f MB", len(f.shapes), strings.Join(types, ", "), float64(f.bytes)/1e6)
}

// Format is the file's kind.
func (f *File) Format() pytorch.Format { return f.weights.Format() }

// Beside are the file's tensors that are not the network's, such as an
// optimiser's state: how many, by the first part of their names.
func (f *File) Beside() map[string]int {
	others := map[string]int{}
	for name := range f.shapes {
		if !strings.HasPrefix(name, f.prefix) {
			first, _, _ := strings.Cut(name, ".")
			others[first]++
		}
	}
	return others
}

// Close gives the memory back.
func (f *File) Close() error { return f.weights.Close() }
