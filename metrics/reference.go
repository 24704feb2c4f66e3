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
func NewReference(real Answers) (r *Reference, err error) {
	defer torch.Recover(&err)
	r = &Reference{Answers: real}
	if err := real.Features.check("the real features", DensityCoverageK+1); err != nil {
		return nil, err
	}
	if r.Statistics, err = StatisticsOf(real.Features); err != nil {
		return nil, err
	}
	r.nearest = nearestOthers(real.Features, DensityCoverageK)
	r.similarity = ownSimilarity(real.Features)
	return r, nil
}

// Comparison says how close a generated set is to a real one.
type Comparison struct {
	Frechet   float64 `json:"frechet"`   // [Frechet]
	Residual  float64 `json:"residual"`  // of its matrix square roots
	KID       float64 `json:"kid"`       // [KID]
	Precision float64 `json:"precision"` // [PrecisionRecall], k = PrecisionRecallK
	Recall    float64 `json:"recall"`
	Density   float64 `json:"density"` // [DensityCoverage], k = DensityCoverageK
	Coverage  float64 `json:"coverage"`
	// Diversity is the mean of [Diversity] over the classes, DiversityMinimum that of
	// the least varied class; both are 0 unless the sets have labels and at least two
	// images of every class.
	Diversity        float64 `json:"diversity,omitempty"`
	DiversityMinimum float64 `json:"diversity_minimum,omitempty"`
}

// Compare computes every figure that needs two sets, in one pass over their pairs.
func (r *Reference) Compare(generated Answers) (c Comparison, err error) {
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
	c.KID = r.similarity + ownSimilarity(f) - 2*similarity(r.Features, f)

	p := newPairs(r.Features, f)
	members := newMembership(p, radii(r.nearest, PrecisionRecallK), radii(nearestOthers(f, PrecisionRecallK), PrecisionRecallK))
	balls := newBalls(p, radii(r.nearest, DensityCoverageK), DensityCoverageK)
	p.each(func(i, first int, low []float32) {
		members.visit(i, first, low)
		balls.visit(i, first, low)
	})
	c.Precision, c.Recall = members.figures()
	c.Density, c.Coverage = balls.figures()

	if classes := r.Logits.D; twoOfEach(r.Labels, classes) && twoOfEach(generated.Labels, classes) {
		ratios, err := Diversity(r.Features, r.Labels, f, generated.Labels, classes)
		if err != nil {
			return c, err
		}
		c.Diversity, c.DiversityMinimum = Mean(ratios), slices.Min(ratios)
	}
	return c, nil
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
