package eval

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda/metrics"
)

// collected is what a network says to a whole set. Of the spatial features only
// the statistics are kept where there are many; labels only where all are classes of the network.
type collected struct {
	metrics.Answers
	spatial     *metrics.Statistics // nil where the network has none
	spatialRows metrics.Features    // themselves, where the images are so few that their bias is estimated
}

// collect shows the first n images of a source to the network.
func (p *pass) collect(ctx context.Context, source Source, n int) (out collected, err error) {
	var spatial metrics.Accumulator
	hasSpatial := false
	toClass := classesOf(source.Info(), p.net.Info())
	if err := p.run(ctx, source, n, func(s shard) error {
		join(&out.Features, s.features)
		join(&out.Logits, s.logits)
		for _, l := range s.labels {
			out.Labels = append(out.Labels, toClass(l))
		}
		if hasSpatial = s.spatial.N > 0; !hasSpatial {
			return nil
		}
		if n < fewSamples {
			join(&out.spatialRows, s.spatial)
		}
		return spatial.Add(s.spatial)
	}); err != nil {
		return out, err
	}
	strange := func(label int) bool { return label < 0 || label >= len(p.net.Info().Classes) }
	if slices.ContainsFunc(out.Labels, strange) {
		out.Labels = nil
	}
	if hasSpatial {
		statistics, err := spatial.Statistics()
		if err != nil {
			return out, err
		}
		out.spatial = &statistics
	}
	return out, nil
}

func join(to *metrics.Features, more metrics.Features) {
	to.N, to.D, to.Values = to.N+more.N, more.D, append(to.Values, more.Values...)
}

// classesOf returns the function from a source's labels to the network's classes,
// by their names where both have names, which may be numbers; -1 is a class that the network does not have.
func classesOf(source SourceInfo, net NetworkInfo) func(label int) int {
	if source.Classes == nil {
		return func(label int) int { return label }
	}
	return func(label int) int {
		if label < 0 || label >= len(source.Classes) {
			return -1
		}
		for i, name := range net.Classes {
			if strings.EqualFold(name, source.Classes[label]) {
				return i
			}
		}
		if source.Classes[label] == strconv.Itoa(label) {
			return label
		}
		return -1
	}
}
