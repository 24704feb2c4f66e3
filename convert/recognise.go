package convert

import (
	"cmp"
	"errors"
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

// Own tells whether the file is one of this program, which describes itself.
func (n *Network) Own() bool { return n.file.Own() }

// Others are the prefixes of networks in the file that were passed over.
func (n *Network) Others() []string { return n.file.others }

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
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if known == nil {
		return f.choose(o, list, have)
	}
	if d := known.params.Compare(have); d.Count() > 0 {
		return nil, mismatch(fmt.Sprintf("%s says that it is a %s, but differs in: %s", f.path, known, d))
	}
	i := slices.IndexFunc(list, known.same)
	if i < 0 && (o.Preset != "" || o.Stage != "" && o.Stage != known.description.Stage) {
		// A teacher is compared with the teacher that was asked for, if one was.
		alike := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c.description.Stage != known.description.Stage })
		if len(alike) == 0 {
			alike = list
		}
		return nil, f.unlike("a "+known.String(), alike, have)
	}
	if i >= 0 && known.description.Preset == "" {
		known.description.Preset = list[i].description.Preset
	}
	return f.found(*known), nil
}

// known is the network that the file says it holds, nil when it does not say.
func (f *File) known() (*candidate, error) {
	d, ok, err := persistent(f.objects, f.prefix)
	if f.own != nil {
		d, ok, err = *f.own, true, nil
	}
	if err != nil || !ok {
		return nil, err
	}
	c, err := newCandidate(d, 0)
	return &c, err
}

// choose takes the network of the list that fits the file's names and shapes, if
// there is but one.
func (f *File) choose(o Options, list []candidate, have map[string][]int) (*Network, error) {
	fits := fitting(list, have)
	if f.variances() {
		fits = nil // it predicts noise, as no preset's does
	}
	switch {
	case have[anchors[0]] == nil && have[anchors[1]] == nil:
		return nil, mismatch(fmt.Sprintf("%s holds %s, but no network of this program", f.path, f))
	case len(fits) == 0 && o.Preset == "" && have[anchors[0]] != nil:
		n, err := f.infer(have, o)
		if err == nil || errors.Is(err, ErrAmbiguous) {
			return n, err
		}
		return nil, fmt.Errorf("%w; nor is it of another preset's size: %w", f.unlike(f.guess(have), list, have), err)
	case len(fits) == 0:
		return nil, f.unlike(f.guess(have), list, have)
	case len(fits) > 1:
		return nil, fmt.Errorf("%s fits %s alike, and %w which it is: give the stage or the preset", f.path, names(fits, "the ", " and "), ErrAmbiguous)
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
	difference := func(c candidate) float64 {
		return float64(c.params.Compare(have).Count()) / float64(len(c.params.Names())+len(have))
	}
	nearest := slices.MinFunc(list, func(a, b candidate) int { return cmp.Compare(difference(a), difference(b)) })
	text := fmt.Sprintf("%s is %s, not the %s", f.path, what, nearest)
	if d := nearest.params.Compare(have); d.Count() > 0 { // else the same shapes, used otherwise
		text += fmt.Sprintf("; differs in: %s", d)
	}
	return mismatch(text)
}

// guess describes weights that say nothing about themselves: as those of the
// presets' networks that they fit, or else by what their shapes tell.
func (f *File) guess(have map[string][]int) string {
	if f.variances() {
		return fmt.Sprintf("an ADM U-Net that predicts noise and learned variances, %d channels wide, of %d classes (%s)", side(have, "time_embed.0.weight", 1), classes(have), f)
	}
	if list, err := candidates(Options{}, classes(have)); err == nil {
		if fits := fitting(list, have); len(fits) > 0 {
			return names(fits, "the ", " or ")
		}
	}
	kind, width := "ADM U-Net", side(have, "time_embed.0.weight", 1)
	if have[anchors[0]] == nil {
		kind, width = "network of EDM", side(have, anchors[1], 1)
	}
	return fmt.Sprintf("an unknown %s, %d channels wide, of %d classes (%s)", kind, width, classes(have), f)
}

// side is one side of a tensor, zero when it is not there.
func side(have map[string][]int, name string, dimension int) int {
	if shape := have[name]; dimension < len(shape) {
		return shape[dimension]
	}
	return 0
}

// classes is the number of classes that a network is told apart by its label embedding.
func classes(have map[string][]int) int {
	return max(side(have, "label_emb.weight", 0), side(have, "map_label.weight", 1))
}

// names lists what networks are called.
func names(list []candidate, article, joint string) string {
	var all []string
	for _, c := range list {
		all = append(all, article+c.String())
	}
	return strings.Join(all, joint)
}
