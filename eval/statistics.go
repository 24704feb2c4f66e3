package eval

import (
	"context"
	"encoding/json"
	"runtime"
	"slices"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/metrics"
)

// StatisticsOptions say of which images to make reference statistics.
type StatisticsOptions struct {
	Setup
	Source      string // see [Open]
	N           int    // images, drawn at random where there are more; 0 means all, of a model ModelSamples
	Activations bool   // keep the features too, for what needs more than mean and covariance
	Images      int    // keep this many of the images, drawn at random, for guided-diffusion's evaluator
	Generation
}

// WriteStatistics makes the reference statistics of images and writes them,
// atomically, as a NumPy archive: mu and sigma, which EDM's evaluator reads; mu_s
// and sigma_s where the network has spatial features, and images as arr_0, which
// guided-diffusion's reads too; and for this program the features as
// activations, the count of images, the network's SHA-256 and input, and the
// protocol. It returns that, with warnings and no figures. Without Activations
// memory does not grow with the number of images.
func WriteStatistics(ctx context.Context, path string, o StatisticsOptions) (r *Result, err error) {
	runtime.LockOSThread() // see torch.Thread
	defer runtime.UnlockOSThread()
	all, err := Open(o.Source, o.Generation)
	if err != nil {
		return nil, err
	}
	defer all.Close()
	n := all.Info().count(o.N)
	source, err := subset(all, n, o.Seed)
	if err != nil {
		return nil, err
	}
	var whole, spatial metrics.Accumulator
	var activations []float32
	if err := o.pass("images").run(ctx, source, n, func(s shard) error {
		if o.Activations {
			activations = append(activations, s.features.Values...)
		}
		if s.spatial.N > 0 {
			if err := spatial.Add(s.spatial); err != nil {
				return err
			}
		}
		return whole.Add(s.features)
	}); err != nil {
		return nil, o.stopped(ctx, err)
	}
	statistics, err := whole.Statistics()
	if err != nil {
		return nil, err
	}
	r = &Result{}
	net := o.Network.Info()
	if r.Protocol, err = protocolOf(source.Info(), n, net); err != nil {
		return nil, err
	}
	if r.Protocol.Samples.Model != nil {
		r.Protocol.Seeds = []uint64{o.Seed}
	}
	if statistics.Singular() {
		r.warn("%d images for %d features: the covariance is singular, Fréchet distances to it are far too high", n, net.Dimensions)
	}
	protocol, err := json.Marshal(r.Protocol)
	if err != nil {
		return nil, err
	}
	arrays := []data.Array{
		{Name: countKey, Elements: []int64{int64(n)}},
		{Name: networkKey, Elements: net.SHA256},
		{Name: protocolKey, Elements: string(protocol)},
	}
	if net.Rule != "" {
		arrays = append(arrays, data.Array{Name: ruleKey, Elements: net.Rule})
	}
	arrays = append(arrays, statisticsArrays(statistics, meanKey, covarianceKey)...)
	if s, err := spatial.Statistics(); err == nil {
		arrays = append(arrays, statisticsArrays(s, spatialMeanKey, spatialCovarianceKey)...)
	}
	if o.Activations {
		arrays = append(arrays, data.Array{Name: activationsKey, Shape: []int{n, len(activations) / n}, Elements: activations})
	}
	if o.Images > 0 {
		kept, err := subset(source, min(o.Images, n), o.Seed)
		if err != nil {
			return nil, err
		}
		images, err := imageArray(ctx, kept, min(o.Images, n), o.Network.Info().Channels)
		if err != nil {
			return nil, err
		}
		arrays = append(arrays, images)
	}
	return r, data.WriteArrays(path, arrays...)
}

func statisticsArrays(s metrics.Statistics, mean, covariance string) []data.Array {
	d := len(s.Mean)
	return []data.Array{{Name: mean, Shape: []int{d}, Elements: s.Mean}, {Name: covariance, Shape: []int{d, d}, Elements: s.Covariance}}
}

// imageArray are the first n images, (n,H,W,channels); grey is repeated.
func imageArray(ctx context.Context, source Source, n, channels int) (data.Array, error) {
	info := source.Info()
	array := data.Array{Name: imagesKey, Shape: []int{n, info.H, info.W, channels}}
	var pixels []uint8
	for first := 0; first < n; first += batchImages {
		some, _, err := source.Read(ctx, first, min(batchImages, n-first))
		if err != nil {
			return array, err
		}
		for image := range slices.Chunk(some, info.bytes()) {
			last := make([]uint8, channels*info.H*info.W)
			channelsLast(last, slices.Repeat(image, channels/info.C), channels)
			pixels = append(pixels, last...)
		}
	}
	array.Elements = pixels
	return array, nil
}
