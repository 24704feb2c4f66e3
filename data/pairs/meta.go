// Package pairs keeps on disk the (image, latent) pairs that inverting a data
// set through the probability-flow ODE makes, so that all later stages share
// them. The images stay in the data set; a store holds the latents:
//
//	pairs.json                        Meta
//	latents-<first pair>.safetensors  F32 tensor "latents" (n,C,h,w), consecutive pairs
package pairs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// The ways a store can refuse to open.
var (
	// ErrNoStore: the folder holds no store.
	ErrNoStore = errors.New("the folder holds no pairs")
	// ErrMeta: pairs.json cannot be read, or describes no possible store.
	ErrMeta = errors.New("pairs.json is not usable")
	// ErrOtherStore: the folder holds the pairs of another inversion.
	ErrOtherStore = errors.New("the folder holds pairs that were made otherwise")
	// ErrIncomplete: not all pairs have been made yet.
	ErrIncomplete = errors.New("the pairs are not complete")
	// ErrShard: a file of latents is damaged or does not fit the store.
	ErrShard = errors.New("a file of latents is not usable")
	// ErrLatents: latents handed to a Writer are not whole or too many.
	ErrLatents = errors.New("unexpected number of latents")
)

// Meta says what the pairs of a store are and how they were made.
type Meta struct {
	Dataset       string  `json:"dataset"`        // its name when it was inverted
	DatasetSHA256 string  `json:"dataset_sha256"` // data.Dataset.SHA256
	Images        int     `json:"images"`         // of the data set
	TeacherSHA256 string  `json:"teacher_sha256"` // of the weights that inverted the images
	Count         int     `json:"count"`          // of pairs, n images or 2n with mirror images, n ≤ Images
	Mirror        bool    `json:"mirror"`         // whether every image's mirror image has a pair too
	C             int     `json:"channels"`       // of a latent
	H             int     `json:"height"`
	W             int     `json:"width"`
	SigmaStart    float64 `json:"sigma_start"` // where the ODE began
	Noise         bool    `json:"noise"`       // whether noise of that level was added to the images
	Seed          uint64  `json:"seed"`        // of the noise
	SigmaMax      float64 `json:"sigma_max"`   // where the ODE ended: a latent's standard deviation is about this
	Steps         int     `json:"steps"`       // noise levels of the ODE solver
}

// Image returns the image of the data set, or its mirror image, that a pair is
// of. The images with pairs lie evenly in the data set, whose images may come
// in the order of their classes.
func (m Meta) Image(pair int) (image int, mirrored bool) {
	image, mirrored = m.inverted(pair)
	n, _ := m.inverted(m.Count)
	return evenly(image, n, m.Images), mirrored
}

// Of returns the images that some pairs are of, for [data.Dataset.Gather].
func (m Meta) Of(chosen []int) (indices []int, mirrored []bool) {
	indices, mirrored = make([]int, len(chosen)), make([]bool, len(chosen))
	for i, pair := range chosen {
		indices[i], mirrored[i] = m.Image(pair)
	}
	return indices, mirrored
}

// Among returns the k-th of n pairs, n ≤ Count, that lie evenly in the store,
// those of mirror images beside those of their images.
func (m Meta) Among(k, n int) int {
	if !m.Mirror {
		return evenly(k, n, m.Count)
	}
	return 2*evenly(k/2, (n+1)/2, m.Count/2) + k%2
}

// Range are the n pairs from first on.
func Range(first, n int) []int {
	pairs := make([]int, n)
	for i := range pairs {
		pairs[i] = first + i
	}
	return pairs
}

// inverted counts the images, without their mirror images, before that of a pair.
func (m Meta) inverted(pair int) (image int, mirrored bool) {
	if !m.Mirror {
		return pair, false
	}
	return pair / 2, pair%2 == 1
}

// evenly is the k-th of n places at even distances among so many.
func evenly(k, n, among int) int { return k * among / n }

// Same tells whether two stores hold the same pairs; the data set may have moved.
func (m Meta) Same(other Meta) bool {
	other.Dataset = m.Dataset
	return m == other
}

// differences returns the keys of pairs.json in which two stores differ.
func (m Meta) differences(other Meta) []string {
	a, b := reflect.ValueOf(m), reflect.ValueOf(other)
	var keys []string
	for i, field := range reflect.VisibleFields(a.Type()) {
		if !a.Field(i).Equal(b.Field(i)) {
			keys = append(keys, field.Tag.Get("json"))
		}
	}
	return keys
}

// latentSize returns the floats of one latent.
func (m Meta) latentSize() int { return m.C * m.H * m.W }

const metaName = "pairs.json"

func readMeta(dir string) (Meta, error) {
	path := filepath.Join(dir, metaName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Meta{}, fmt.Errorf("%s: %w: invert the data set first, or name another folder", dir, ErrNoStore)
	}
	if err != nil {
		return Meta{}, fmt.Errorf("cannot read the pairs: %w", err)
	}
	var m Meta
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Meta{}, fmt.Errorf("%s: %w: %w", path, ErrMeta, err)
	}
	if err := m.check(); err != nil {
		return Meta{}, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func writeMeta(dir string, m Meta) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMeta, err)
	}
	return checkpoint.WriteFileAtomic(filepath.Join(dir, metaName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

func (m Meta) check() error {
	const limit = 1 << 16 // keeps a latent's size from overflowing
	if m.Count < 1 || min(m.C, m.H, m.W) < 1 || max(m.C, m.H, m.W) > limit {
		return fmt.Errorf("%w: %d pairs of size %d×%d×%d", ErrMeta, m.Count, m.C, m.H, m.W)
	}
	if m.Mirror && m.Count%2 != 0 {
		return fmt.Errorf("%w: %d is an odd number of pairs, although every image has a mirror image", ErrMeta, m.Count)
	}
	if n, _ := m.inverted(m.Count); n > m.Images {
		return fmt.Errorf("%w: %d images of %d have pairs", ErrMeta, n, m.Images)
	}
	return nil
}
