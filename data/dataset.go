package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Dataset is a set of labelled images of one size, in memory.
type Dataset struct {
	Name       string
	C, H, W    int      // channels (1 grey, 3 RGB), height, width
	Pixels     []uint8  // (N,C,H,W)
	Labels     []int32  // (N), indices into ClassNames
	ClassNames []string // one for each class

	// MirrorClasses gives mirror images classes of their own, after those that
	// have names: label c becomes len(ClassNames)+c.
	MirrorClasses bool
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
	padded := *d
	padded.H, padded.W = h, w
	padded.Pixels = make([]uint8, d.Len()*d.C*h*w)
	top, left := (h-d.H)/2, (w-d.W)/2
	for plane := range d.Len() * d.C {
		for y := range d.H {
			row := d.Pixels[(plane*d.H+y)*d.W:][:d.W]
			copy(padded.Pixels[(plane*h+top+y)*w+left:], row)
		}
	}
	return &padded, nil
}

// Gather returns copies of the images (len(indices),C,H,W) of the given
// indices, those flipped left to right for which mirrored holds, and their
// labels, of which there are [Dataset.Classes].
func (d *Dataset) Gather(indices []int, mirrored []bool) (pixels []uint8, labels []int32) {
	pixels = make([]uint8, 0, len(indices)*d.C*d.H*d.W)
	labels = make([]int32, len(indices))
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
	hash := sha256.New()
	for _, n := range []int{d.Len(), d.C, d.H, d.W} {
		hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	hash.Write(d.Pixels)
	_ = binary.Write(hash, binary.LittleEndian, d.Labels) // a hash takes everything
	return hex.EncodeToString(hash.Sum(nil))
}
