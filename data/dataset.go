package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// Dataset is a set of labelled images of one size, in memory or mapped into it.
type Dataset struct {
	Name       string
	C, H, W    int      // channels (1 grey, 3 RGB), height, width
	Pixels     []uint8  // (N,C,H,W)
	Labels     []int32  // (N), indices into ClassNames
	ClassNames []string // one for each class

	// MirrorClasses gives mirror images classes of their own, after those that
	// have names: label c becomes len(ClassNames)+c.
	MirrorClasses bool

	mapped *checkpoint.File // of prepared images, which cannot change
	tensor string           // whose data are Pixels
	digest string           // what SHA256 returns, where it is known
}

// Close gives back the memory of prepared images, which are gone then; others stay.
func (d *Dataset) Close() error {
	if d.mapped == nil {
		return nil
	}
	d.Pixels = nil
	return d.mapped.Close()
}

// Len returns the number of images, N.
func (d *Dataset) Len() int { return len(d.Labels) }

// Classes is the number of classes, those of mirror images among them.
func (d *Dataset) Classes() int {
	if d.MirrorClasses {
		return 2 * len(d.ClassNames)
	}
	return len(d.ClassNames)
}

// Image returns the pixels (C,H,W) of image i without copying them.
func (d *Dataset) Image(i int) []uint8 {
	size := d.C * d.H * d.W
	return d.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Label returns the class of image i, or of its mirror image.
func (d *Dataset) Label(i int, mirrored bool) int32 {
	if mirrored && d.MirrorClasses {
		return d.Labels[i] + int32(len(d.ClassNames))
	}
	return d.Labels[i]
}

// Pad returns the data set with every image in the middle of a black one of
// height h and width w; an odd row or column goes below or to the right. The
// images must not be larger than that.
func (d *Dataset) Pad(h, w int) (*Dataset, error) {
	if h < d.H || w < d.W {
		return nil, fmt.Errorf("cannot pad %s: its images are %d×%d, larger than %d×%d", d.Name, d.H, d.W, h, w)
	}
	padded := d.with(make([]uint8, d.Len()*d.C*h*w), d.Labels)
	padded.H, padded.W = h, w
	top, left := (h-d.H)/2, (w-d.W)/2
	for plane := range d.Len() * d.C {
		for y := range d.H {
			row := d.Pixels[(plane*d.H+y)*d.W:][:d.W]
			copy(padded.Pixels[(plane*h+top+y)*w+left:], row)
		}
	}
	return padded, nil
}

// Select returns the data set of copies of the images of the given indices.
func (d *Dataset) Select(indices []int) *Dataset {
	return d.with(d.Gather(indices, make([]bool, len(indices))))
}

// with returns the data set with other images in its memory.
func (d *Dataset) with(pixels []uint8, labels []int32) *Dataset {
	out := *d
	out.mapped, out.digest = nil, ""
	out.Pixels, out.Labels = pixels, labels
	return &out
}

// Gather returns copies of the images (len(indices),C,H,W) of the given
// indices, those flipped left to right for which mirrored holds, and their
// labels, of which there are [Dataset.Classes].
func (d *Dataset) Gather(indices []int, mirrored []bool) (pixels []uint8, labels []int32) {
	pixels = make([]uint8, 0, len(indices)*d.C*d.H*d.W)
	labels = make([]int32, len(indices))
	if d.mapped != nil {
		size := d.C * d.H * d.W
		for _, i := range indices {
			d.mapped.Prefetch(d.tensor, i*size, size)
		}
	}
	for k, i := range indices {
		labels[k] = d.Label(i, mirrored[k])
		start := len(pixels)
		pixels = append(pixels, d.Image(i)...)
		if mirrored[k] {
			flip(pixels[start:], d.W)
		}
	}
	return pixels, labels
}

// flip reverses every row of w pixels.
func flip(pixels []uint8, w int) {
	for row := 0; row < len(pixels); row += w {
		for a, b := row, row+w-1; a < b; a, b = a+1, b-1 {
			pixels[a], pixels[b] = pixels[b], pixels[a]
		}
	}
}

// SHA256 returns the hexadecimal digest of the images' sizes, pixels and labels, which
// tells whether results stored elsewhere belong to this data set.
func (d *Dataset) SHA256() string {
	if d.digest != "" {
		return d.digest
	}
	return d.sum()
}

func (d *Dataset) sum() string {
	hash := newDigest(d.Len(), d.C, d.H, d.W)
	hash.Write(d.Pixels)
	return hex.EncodeToString(finish(hash, d.Labels))
}

// newDigest is a digest of so many images, whose pixels it wants next.
func newDigest(n, c, h, w int) hash.Hash {
	digest := sha256.New()
	for _, n := range []int{n, c, h, w} {
		digest.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return digest
}

// finish takes the labels into a digest and returns it.
func finish(digest hash.Hash, labels []int32) []byte {
	_ = binary.Write(digest, binary.LittleEndian, labels) // a hash takes everything
	return digest.Sum(nil)
}
