package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pagoda-go/pagoda/data"
)

// fashion names the data set of the demo; its images are padded, as training pads them.
const fashion, fashionSide = "fashion-mnist", 32

// datasetSource are the images of a data set.
type datasetSource struct {
	*data.Dataset
	info SourceInfo
}

func openFashion(split string) (*datasetSource, error) {
	if split == "" {
		split = string(data.Test)
	}
	if split != string(data.Test) && split != string(data.Train) {
		return nil, fmt.Errorf("%w: %s has the splits test and train, not %q", ErrSource, fashion, split)
	}
	d, err := data.Load(fashion, "", data.Split(split), fashionSide, 1)
	if err != nil {
		return nil, err
	}
	s := newDatasetSource(fashion+", "+split+" split", d)
	s.info.Resize = fmt.Sprintf("28×28 padded with black to %d×%d", d.H, d.W)
	return s, nil
}

// openPrepared opens a split of what [data.Prepare] wrote, the test split where none is named.
func openPrepared(path string, split data.Split) (*datasetSource, error) {
	named := split != ""
	split = cmp.Or(split, data.Test)
	d, err := data.OpenPrepared(path, split)
	if errors.Is(err, data.ErrSplit) && !named {
		return nil, fmt.Errorf("%s has no pictures to measure against; %s:train takes those to train on", path, path)
	}
	if err != nil {
		return nil, err
	}
	return newDatasetSource(fmt.Sprintf("%s, %s split", path, split), d), nil
}

// cutSplit takes the name of a split from the end of a source's.
func cutSplit(name string) (path string, split data.Split) {
	for _, split := range []data.Split{data.Train, data.Test} {
		if path, ok := strings.CutSuffix(name, ":"+string(split)); ok {
			return path, split
		}
	}
	return name, ""
}

func newDatasetSource(name string, d *data.Dataset) *datasetSource {
	return &datasetSource{d, SourceInfo{Name: name, N: d.Len(), C: d.C, H: d.H, W: d.W, Classes: d.ClassNames, Digest: d.SHA256()}}
}

func (d *datasetSource) Info() SourceInfo { return d.info }

func (d *datasetSource) Read(_ context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	if err := d.info.check(first, n); err != nil {
		return nil, nil, err
	}
	for i := first; i < first+n; i++ {
		pixels = append(pixels, d.Image(i)...)
		labels = append(labels, int(d.Labels[i]))
	}
	return pixels, labels, nil
}

func (d *datasetSource) Close() error { return d.Dataset.Close() }
