package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// GPU is a graphics processor by its data sheet.
type GPU struct {
	Name   string
	FLOPs  float64 // a second, dense half-precision matrix products
	Memory float64 // bytes
}

// GPUs are those that ByName knows.
var GPUs = []GPU{
	{"V100", 125e12, 32e9},
	{"A100", 312e12, 80e9},
	{"H100", 989e12, 80e9},
	{"H200", 989e12, 141e9},
	{"B200", 2250e12, 180e9},
	{"L40S", 362e12, 48e9},
	{"RTX 3090", 71e12, 24e9},
	{"RTX 4090", 165e12, 24e9},
}

// Utilisation is the share of a GPU's peak that training is taken to reach.
// EDM's published training of its ImageNet-64 teacher (2.5 billion images, 13
// days on 32 A100) comes to 15 % of their peak by the count of this package.
const Utilisation = 0.15

// ByName finds a GPU, in upper or lower case and with or without spaces.
func ByName(name string) (GPU, error) {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "") }
	distance := func(g GPU) int { return levenshtein.ComputeDistance(plain(g.Name), plain(name)) }
	nearest := slices.MinFunc(GPUs, func(a, b GPU) int { return distance(a) - distance(b) })
	if distance(nearest) > 0 {
		var names []string
		for _, g := range GPUs {
			names = append(names, g.Name)
		}
		return GPU{}, fmt.Errorf("no GPU %q; did you mean %q? (%s)", name, nearest.Name, strings.Join(names, ", "))
	}
	return nearest, nil
}

// Hours is the time that one GPU takes for a number of operations at Utilisation.
func (g GPU) Hours(flops float64) float64 { return flops / (g.FLOPs * Utilisation) / 3600 }
