package nn

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Differences are what sets the tensors of a file apart from those of a network, by name.
type Differences struct {
	Missing    []string // in the file
	Unexpected []string // in the file
	Misshapen  []string // names with both shapes
}

// Compare lists the differences between tensors of the given shapes and the store's.
func (p *Params) Compare(have map[string][]int) Differences {
	var d Differences
	for _, name := range p.names {
		switch shape, ok := have[name]; {
		case !ok:
			d.Missing = append(d.Missing, name)
		case !slices.Equal(shape, p.Shape(name)):
			d.Misshapen = append(d.Misshapen, fmt.Sprintf("%s is %v, not %v", name, shape, p.Shape(name)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := p.byName[name]; !ok {
			d.Unexpected = append(d.Unexpected, fmt.Sprintf("%.100s", strings.Trim(strconv.Quote(name), `"`)))
		}
	}
	return d
}

// Count is the number of differences.
func (d Differences) Count() int { return len(d.Missing) + len(d.Unexpected) + len(d.Misshapen) }

// String names the first five of each kind.
func (d Differences) String() string {
	return strings.Join(slices.Concat(
		firstFive("missing", d.Missing), firstFive("unexpected", d.Unexpected), firstFive("mis-shaped", d.Misshapen)), "; ")
}
