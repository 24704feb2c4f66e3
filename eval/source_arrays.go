package eval

import (
	"context"
	"errors"
	"fmt"

	"github.com/pagoda-go/pagoda/data"
)

// imagesKey and labelsKey are the arrays that guided-diffusion's evaluator
// reads images (N,H,W,C) from, and that samples have their classes (N) in.
const imagesKey, labelsKey = "arr_0", "arr_1"

// arraySource are the images of a NumPy archive.
type arraySource struct {
	archive *data.NPZ
	images  *data.NPY // open at image next
	next    int
	labels  []int
	info    SourceInfo
}

func openArrays(path string) (*arraySource, error) {
	archive, err := data.OpenNPZ(path)
	if err != nil {
		return nil, err
	}
	a := &arraySource{archive: archive}
	if err := a.open(path); err != nil {
		return nil, errors.Join(err, archive.Close())
	}
	return a, nil
}

func (a *arraySource) open(path string) error {
	if err := a.rewind(); err != nil {
		return err
	}
	shape := a.images.Shape
	if len(shape) != 4 || a.images.Type != "|u1" || shape[3] != 1 && shape[3] != 3 {
		return fmt.Errorf("%w: %s of %s has the shape %v of %s; images are (N,H,W,1 or 3) of bytes", ErrSource, imagesKey, path, shape, a.images.Type)
	}
	if a.images.Len() == 0 {
		return fmt.Errorf("%w: %s of %s holds no images", ErrSource, imagesKey, path)
	}
	a.info = SourceInfo{
		Name: path, N: shape[0], H: shape[1], W: shape[2], C: shape[3],
		Digest: fmt.Sprintf("%v %08x", shape, a.images.Checksum),
	}
	if !a.archive.Has(labelsKey) {
		return nil
	}
	labels, err := a.archive.Open(labelsKey)
	if err != nil {
		return err
	}
	defer labels.Close()
	a.info.Digest += fmt.Sprintf(", labels %08x", labels.Checksum)
	values, err := labels.Float64s()
	if err != nil {
		return fmt.Errorf("the labels in %s: %w", path, err)
	}
	if len(values) != a.info.N {
		return fmt.Errorf("%w: %s has %d labels for %d images", ErrSource, path, len(values), a.info.N)
	}
	for _, v := range values {
		a.labels = append(a.labels, int(v))
	}
	return nil
}

// rewind goes back to the first image.
func (a *arraySource) rewind() (err error) {
	if a.images != nil {
		_ = a.images.Close()
	}
	a.images, err = a.archive.Open(imagesKey)
	a.next = 0
	return err
}

func (a *arraySource) Info() SourceInfo { return a.info }

func (a *arraySource) Read(_ context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	if err := a.info.check(first, n); err != nil {
		return nil, nil, err
	}
	if first < a.next {
		if err := a.rewind(); err != nil {
			return nil, nil, err
		}
	}
	size, image := a.info.bytes(), make([]uint8, a.info.bytes())
	for ; a.next < first; a.next++ {
		if err := a.images.Uint8s(image); err != nil {
			return nil, nil, err
		}
	}
	pixels = make([]uint8, n*size)
	for i := range n {
		if err := a.images.Uint8s(image); err != nil {
			return nil, nil, err
		}
		a.next++
		channelsFirst(pixels[i*size:(i+1)*size], image, a.info.C)
	}
	if a.labels != nil {
		labels = a.labels[first : first+n]
	}
	return pixels, labels, nil
}

func (a *arraySource) Close() error { return errors.Join(a.images.Close(), a.archive.Close()) }

// channelsFirst turns pixels (H,W,C) into (C,H,W).
func channelsFirst(to, from []uint8, channels int) {
	area := len(from) / channels
	for p := range area {
		for c := range channels {
			to[c*area+p] = from[p*channels+c]
		}
	}
}

// channelsLast turns pixels (C,H,W) into (H,W,C).
func channelsLast(to, from []uint8, channels int) {
	channelsFirst(to, from, len(from)/channels)
}
