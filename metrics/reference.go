package metrics

import (
	"slices"

	"github.com/pagoda-go/pagoda/torch"
)

// Answers are what a feature network says to a set of images.
type Answers struct {
	Features Features
	Logits   Features // class scores; empty where the network names no classes
	Labels   []int    // the classes that the images should show; nil when unknown
}

// Reference is a set of real images that others are compared with. What a
// comparison needs of it alone is computed once.
type Reference struct {
	Answers
	Statistics Statistics

	nearest    [][]float64
	similarity float64
}

// The numbers of neighbours in the literature.
const (
	PrecisionRecallK = 3
	DensityCoverageK = 5
)

// NewReference prepares real images' answers; errors as [PrecisionRecall] and [StatisticsOf].
func NewReference(real Answers, step Step) (r *Reference, err error) {
	defer torch.Recover(&err)
	r = &Reference{Answers: real}
	if err := real.Features.check("the real features", DensityCoverageK+1); err != nil {
		return nil, err
	}
	if r.Statistics, err = StatisticsOf(real.Features); err != nil {
		return nil, err
	}
	w := &work{step: step, total: 2 * real.Features.N}
	if r.nearest, err = nearestOthers(real.Features, DensityCoverageK, w); err != nil {
		return nil, err
	}
	if r.similarity, err = ownSimilarity(real.Features, w); err != nil {
		return nil, err
	}
	return r, w.next(0)
}

// Comparison says how close a generated set is to a real one.
type Comparison struct {
	Frechet   float64 // [Frechet]
	Residual  float64 // of its matrix square roots
	KID       float64 // [KID]
	Precision float64 // [PrecisionRecall], k = PrecisionRecallK
	Recall    float64
	Density   float64 // [DensityCoverage], k = DensityCoverageK
	Coverage  float64
	// Diversity is [Diversity] of every class; nil unless the sets have labels and at
	// least two images of every class.
	Diversity []float64
}

// Compare computes every figure that needs two sets, in one pass over their
// pairs. The steps are vectors of either set.
func (r *Reference) Compare(generated Answers, step Step) (c Comparison, err error) {
	defer torch.Recover(&err)
	f := generated.Features
	if err := checkPair(r.Features, f, DensityCoverageK+1); err != nil {
		return c, err
	}
	statistics, err := StatisticsOf(f)
	if err != nil {
		return c, err
	}
	if c.Frechet, c.Residual, err = Frechet(r.Statistics, statistics); err != nil {
		return c, err
	}
	w := &work{step: step, total: 2 * (r.Features.N + f.N)}
	own, err := ownSimilarity(f, w)
	if err != nil {
		return c, err
	}
	between, err := similarity(r.Features, f, w)
	if err != nil {
		return c, err
	}
	c.KID = r.similarity + own - 2*between

	nearest, err := nearestOthers(f, PrecisionRecallK, w)
	if err != nil {
		return c, err
	}
	p := newPairs(r.Features, f)
	members := newMembership(p, radii(r.nearest, PrecisionRecallK), radii(nearest, PrecisionRecallK))
	balls := newBalls(p, radii(r.nearest, DensityCoverageK), DensityCoverageK)
	if err := p.each(w, func(i, first int, low []float32) {
		members.visit(i, first, low)
		balls.visit(i, first, low)
	}); err != nil {
		return c, err
	}
	c.Precision, c.Recall = members.figures()
	c.Density, c.Coverage = balls.figures()

	if classes := r.Logits.D; twoOfEach(r.Labels, classes) && twoOfEach(generated.Labels, classes) {
		if c.Diversity, err = Diversity(r.Features, r.Labels, f, generated.Labels, classes); err != nil {
			return c, err
		}
	}
	return c, w.next(0)
}

// twoOfEach tells whether there are at least two labels of every class.
func twoOfEach(labels []int, classes int) bool {
	counts := make([]int, classes)
	for _, l := range labels {
		if l >= 0 && l < classes {
			counts[l]++
		}
	}
	return classes > 0 && slices.Min(counts) >= 2
}
