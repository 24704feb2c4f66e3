package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/torch"
)

// Bootstrap estimates how much too large [Frechet] comes out because there are
// few generated samples: the bias, to be subtracted, and the standard deviation
// of the distance (Efron 1979). It draws resamples (20 are plenty) of the
// generated vectors with replacement, the same ones for the same seed. The
// reference stays as it is. Good where vectors outnumber dimensions; below, the
// bias is underestimated. Each resample costs one eigendecomposition. Stop, if
// not nil, is asked before each; its error ends the work.
func Bootstrap(reference Statistics, generated Features, resamples int, seed uint64, stop func() error) (bias, deviation float64, err error) {
	defer torch.Recover(&err)
	if resamples < 2 {
		return 0, 0, fmt.Errorf("metrics: bootstrap of %d resamples, at least 2 are needed", resamples)
	}
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	from, err := newGaussian(s, reference)
	if err != nil {
		return 0, 0, err
	}
	distanceOf := func(f Features) (float64, error) {
		stats, err := StatisticsOf(f)
		if err != nil {
			return 0, err
		}
		distance, _, err := from.distance(stats)
		return distance, err
	}
	measured, err := distanceOf(generated)
	if err != nil {
		return 0, 0, err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	distances := make([]float64, resamples)
	resample := Features{generated.N, generated.D, make([]float32, len(generated.Values))}
	for r := range distances {
		if stop != nil {
			if err := stop(); err != nil {
				return 0, 0, err
			}
		}
		for i := range resample.N {
			copy(resample.Row(i), generated.Row(random.IntN(generated.N)))
		}
		if distances[r], err = distanceOf(resample); err != nil {
			return 0, 0, err
		}
	}
	mean := Mean(distances)
	for _, d := range distances {
		deviation += (d - mean) * (d - mean)
	}
	return mean - measured, math.Sqrt(deviation / float64(resamples-1)), nil
}
