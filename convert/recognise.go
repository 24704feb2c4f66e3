package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/network"
)

// Network is a network that a file was found to hold.
type Network struct {
	Description network.Description
	Parameters  int
	Prefix      string // of its tensors' names in the file

	file *File
	name string
}

// String is what people call the network.
func (n *Network) String() string { return n.name }

// Recognise finds out which network the file holds. [ErrUnknown] says what it is
// instead, and what sets it apart from the most similar network that the options
// allow; [ErrAmbiguous] which of the options would tell.
func (f *File) Recognise(o Options) (*Network, error) {
	have := f.network()
	list, err := candidates(o, classes(have))
	if err != nil {
		return nil, err
	}
	known, err := f.known()
	if err != nil {
		return nil, err
	}
	fits := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c.params.Compare(have).Count() > 0 })
	if known == nil {
		return f.choose(fits, list, have)
	}
	if d := known.params.Compare(have); d.Count() > 0 {
		return nil, fmt.Errorf("%w: %s says that it is a %s, but differs in: %s", ErrUnknown, f.path, known, d)
	}
	i := slices.IndexFunc(fits, known.same)
	if i < 0 && (o.Preset != "" || o.Stage != "" && o.Stage != known.description.Stage) {
		return nil, f.unlike("a "+known.String(), list, have)
	}
	if i >= 0 && known.description.Preset == "" {
		known.description.Preset = fits[i].description.Preset
	}
	return f.found(*known), nil
}

// known is the network that the file says it holds, nil when it does not say.
func (f *File) known() (*candidate, error) {
	d, ok, err := persistent(f.weights.Objects(), f.prefix)
	if f.own != nil {
		d, ok = *f.own, true
	}
	if err == nil && !ok {
		return nil, nil
	}
	var c candidate
	if err == nil {
		c, err = newCandidate(d, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return &c, nil
}

// choose takes the network that fits the file's names and shapes, if there is but one.
func (f *File) choose(fits, list []candidate, have map[string][]int) (*Network, error) {
	switch {
	case have[anchors[0]] == nil && have[anchors[1]] == nil:
		return nil, mismatch(fmt.Sprintf("%s holds %s, but no network of this program", f.path, f.Contents()))
	case len(fits) == 0:
		return nil, f.unlike(f.guess(have), list, have)
	}
	var others []string
	for i, c := range fits {
		if !slices.ContainsFunc(fits[:i], c.same) {
			others = append(others, "the "+c.String())
		}
	}
	if len(others) > 1 {
		return nil, fmt.Errorf("%s fits %s alike, and %w which it is: say so with --stage and --preset", f.path, strings.Join(others, " and "), ErrAmbiguous)
	}
	return f.found(fits[0]), nil
}

func (f *File) found(c candidate) *Network {
	return &Network{c.description, c.params.Count(), f.prefix, f, c.String()}
}

// mismatch is an ErrUnknown in words of its own.
type mismatch string

func (m mismatch) Error() string { return string(m) }
func (m mismatch) Unwrap() error { return ErrUnknown }

// unlike is the error of a file that is none of the networks in the list: what it
// is, and what sets it apart from the most similar one.
func (f *File) unlike(what string, list []candidate, have map[string][]int) error {
	nearest := slices.MinFunc(list, func(a, b candidate) int {
		return cmp.Compare(a.params.Compare(have).Count(), b.params.Compare(have).Count())
	})
	text := fmt.Sprintf("%s is %s, not the %s", f.path, what, nearest)
	if d := nearest.params.Compare(have); d.Count() > 0 { // else the same shapes, used otherwise
		text += fmt.Sprintf("; differs in: %s", d)
	}
	return mismatch(text)
}

// guess describes a network that is not known by what its shapes tell.
func (f *File) guess(have map[string][]int) string {
	side := func(name string, dimension int) int {
		if shape := have[name]; dimension < len(shape) {
			return shape[dimension]
		}
		return 0
	}
	kind, width := "ADM U-Net", side("time_embed.0.weight", 1)
	if have[anchors[0]] == nil {
		kind, width = "network of EDM", side(anchors[1], 1)
	}
	return fmt.Sprintf("an unknown %s, %d channels wide, of %d classes (%s)", kind, width, classes(have), f.Contents())
}

// classes is the number of classes that a network is told apart by its label embedding.
func classes(have map[string][]int) int {
	for name, dimension := range map[string]int{"label_emb.weight": 0, "map_label.weight": 1} {
		if shape := have[name]; len(shape) == 2 {
			return shape[dimension]
		}
	}
	return 0
}
