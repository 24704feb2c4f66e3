package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/metrics"
)

// reference is what samples are compared with: a set of real images, statistics, or both.
type reference struct {
	info       RealInfo
	set        *metrics.Reference // nil when there are statistics only
	statistics metrics.Statistics
	spatial    *metrics.Statistics // nil when the network or the file has none
}

// The arrays of a file of statistics. EDM's evaluator has the first two,
// guided-diffusion's four and images; the others are this program's own.
const (
	meanKey, covarianceKey               = "mu", "sigma"
	spatialMeanKey, spatialCovarianceKey = "mu_s", "sigma_s"
	activationsKey                       = "activations" // features (N,D) of the images
	countKey                             = "count"       // of images behind the statistics
	networkKey                           = "network"     // SHA-256 of the network's weights
	ruleKey                              = "input"       // by which the network was given the images
	protocolKey                          = "protocol"    // how all of it was made, JSON
)

// compare computes what the reference allows: with statistics only, the Fréchet distance.
func (r *reference) compare(samples metrics.Answers, step metrics.Step) (c metrics.Comparison, err error) {
	if r.set != nil {
		return r.set.Compare(samples, step)
	}
	statistics, err := metrics.StatisticsOf(samples.Features)
	if err != nil {
		return c, err
	}
	c.Frechet, c.Residual, err = metrics.Frechet(r.statistics, statistics)
	return c, err
}

// openReference opens real images, or statistics, for samples of the given kind.
func (p *pass) openReference(ctx context.Context, name string, samples SourceInfo) (r *reference, err error) {
	if strings.EqualFold(filepath.Ext(name), ".npz") {
		archive, err := data.OpenNPZ(name)
		if err != nil {
			return nil, err
		}
		defer archive.Close()
		if archive.Has(meanKey) {
			return p.readReference(ctx, archive, name, samples)
		}
	}
	source, err := p.openReal(name, samples)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	return p.seeReference(ctx, source)
}

// openReal opens real images in the size of the samples.
func (p *pass) openReal(name string, samples SourceInfo) (Source, error) {
	source, err := Open(name, Generation{})
	if err != nil {
		return nil, fmt.Errorf("the real images: %w", err)
	}
	if source.Info().Model != nil {
		_ = source.Close()
		return nil, fmt.Errorf("%s makes images: samples are compared with real ones", source.Info().Name)
	}
	sized, err := sameSize(source, samples)
	if err != nil {
		_ = source.Close()
		return nil, err
	}
	return sized, nil
}

// seeReference takes all images of a source for the reference.
func (p *pass) seeReference(ctx context.Context, source Source) (*reference, error) {
	info := source.Info()
	c, err := p.collect(ctx, source, info.N)
	if err != nil {
		return nil, err
	}
	set, err := metrics.NewReference(c.Answers, p.step(ctx, "real images among each other"))
	if err != nil {
		return nil, fmt.Errorf("the real images: %w", err)
	}
	return &reference{RealInfo{&info, info.N, "of these images"}, set, set.Statistics, c.spatial}, nil
}

// readReference reads statistics, and what the file has beside them: features,
// or the images that features are to be got from.
func (p *pass) readReference(ctx context.Context, archive *data.NPZ, name string, samples SourceInfo) (r *reference, err error) {
	r = &reference{info: RealInfo{Statistics: "from " + name}}
	net := p.net.Info()
	if err := r.readOrigin(archive, net); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if archive.Has(countKey) {
		count, shape, err := readNumbers(archive, countKey)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(count) != 1 {
			return nil, fmt.Errorf("%s: the count of images has the shape %v", name, shape)
		}
		if n := count[0]; n < 2 || n != math.Trunc(n) || n > 1<<53 {
			return nil, fmt.Errorf("%s: statistics of %v images cannot be", name, n)
		}
		r.info.Count = int(count[0])
	}
	if r.statistics, err = readStatistics(archive, meanKey, covarianceKey, r.info.Count); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if d := len(r.statistics.Mean); d != net.Dimensions {
		return nil, fmt.Errorf("the statistics in %s are of %d features, %s has %d: not from the same network", name, d, net.Name, net.Dimensions)
	}
	if archive.Has(spatialMeanKey) {
		spatial, err := readStatistics(archive, spatialMeanKey, spatialCovarianceKey, r.info.Count)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		r.spatial = &spatial
	}
	switch {
	case archive.Has(activationsKey):
		err = r.readActivations(archive, name, net, p.step(ctx, "real images among each other"))
	case archive.Has(imagesKey):
		err = p.seeImages(ctx, r, name, samples)
	}
	if r.set != nil {
		r.set.Statistics = r.statistics // the file's, which may be of more images
	}
	return r, err
}

// readOrigin reads by which network statistics were made, and of what; statistics of
// another network, or of another rule of its input, are refused.
func (r *reference) readOrigin(archive *data.NPZ, net NetworkInfo) error {
	if !archive.Has(networkKey) {
		r.info.Statistics += ", which does not say of which network and input,"
		return nil
	}
	sum, err := readText(archive, networkKey)
	if err != nil {
		return err
	}
	rule := net.Rule
	if archive.Has(ruleKey) {
		if rule, err = readText(archive, ruleKey); err != nil {
			return err
		}
	}
	if eyes(sum, rule) != eyes(net.SHA256, net.Rule) {
		if sum == net.SHA256 {
			return fmt.Errorf("its statistics were made with --input %s, this is %s: their scores do not compare", rule, net.Rule)
		}
		return fmt.Errorf("its statistics are of another feature network, sha256 %s; %s is %s", sum, net.Name, net.SHA256)
	}
	if !archive.Has(protocolKey) {
		return nil
	}
	text, err := readText(archive, protocolKey)
	if err != nil {
		return err
	}
	var p Protocol
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("the array %s: %w", protocolKey, err)
	}
	r.info.Statistics += " (" + p.samples() + "),"
	return nil
}

// seeImages gets the features of the images that lie beside statistics.
func (p *pass) seeImages(ctx context.Context, r *reference, name string, samples SourceInfo) error {
	source, err := p.openReal(name, samples)
	if err != nil {
		return err
	}
	defer source.Close()
	seen, err := p.seeReference(ctx, source)
	if err != nil {
		return err
	}
	r.set, r.info.Source = seen.set, seen.info.Source
	return nil
}

func (r *reference) readActivations(archive *data.NPZ, name string, net NetworkInfo, step metrics.Step) error {
	values, shape, err := readNumbers(archive, activationsKey)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(shape) != 2 {
		return fmt.Errorf("%s: the features of the real images have the shape %v, want (N,D)", name, shape)
	}
	if shape[1] != net.Dimensions {
		return fmt.Errorf("%s: the features of the real images have %d dimensions, %s has %d: not from the same network", name, shape[1], net.Name, net.Dimensions)
	}
	f := metrics.Features{N: shape[0], D: shape[1], Values: make([]float32, len(values))}
	for i, v := range values {
		f.Values[i] = float32(v)
	}
	if r.set, err = metrics.NewReference(metrics.Answers{Features: f}, step); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.info.Source = &SourceInfo{Name: "features in " + name, N: f.N}
	return nil
}

func readStatistics(archive *data.NPZ, mean, covariance string, count int) (s metrics.Statistics, err error) {
	s.N = count
	if s.Mean, _, err = readNumbers(archive, mean); err != nil {
		return s, err
	}
	values, shape, err := readNumbers(archive, covariance)
	if err != nil {
		return s, err
	}
	s.Covariance = values
	if d := len(s.Mean); len(shape) != 2 || shape[0] != d || shape[1] != d {
		return s, fmt.Errorf("%s of %d numbers, but %s of the shape %v", mean, d, covariance, shape)
	}
	return s, nil
}

func readNumbers(archive *data.NPZ, name string) (values []float64, shape []int, err error) {
	a, err := archive.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	if values, err = a.Float64s(); err != nil {
		return nil, nil, fmt.Errorf("the array %s: %w", name, err)
	}
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil, fmt.Errorf("the array %s holds %v, number %d of it", name, v, i)
		}
	}
	return values, a.Shape, nil
}

func readText(archive *data.NPZ, name string) (string, error) {
	a, err := archive.Open(name)
	if err != nil {
		return "", err
	}
	defer a.Close()
	return a.Text()
}
