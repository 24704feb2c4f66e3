package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/data"
)

// ErrSource: a source of images or statistics that cannot be what its name says.
var ErrSource = errors.New("not a source of images")

// Source is a set of images of one size in a fixed order. Reading from front to back is fast.
type Source interface {
	// Info describes the images.
	Info() SourceInfo
	// Read returns images [first,first+n) as pixels (n,C,H,W) and the classes they
	// show, nil when unknown.
	Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error)
	// Close frees what reading takes.
	Close() error
}

// SourceInfo describes the images of a source.
type SourceInfo struct {
	Name    string     `json:"name"`              // where they come from
	N       int        `json:"images"`            // how many there are; of a model 0, as many as wanted
	C       int        `json:"channels"`          // 1 grey, 3 colour
	H       int        `json:"height"`            // pixels
	W       int        `json:"width"`             // pixels
	Classes []string   `json:"-"`                 // names of the labels; nil when they are numbers or unknown
	Digest  string     `json:"digest,omitempty"`  // tells the images apart from others
	Subset  string     `json:"subset,omitempty"`  // how they were chosen from more
	Resize  string     `json:"resize,omitempty"`  // what was done to bring them to this size
	Model   *ModelInfo `json:"weights,omitempty"` // nil for images that exist already
}

// ModelInfo describes the generator behind a source.
type ModelInfo struct {
	SHA256     string `json:"sha256"`            // of its file
	Kind       string `json:"kind"`              // "EMA" for averaged ones, or where they were imported from
	Stage      string `json:"stage"`             // "generator", or "teacher" for a many-step model
	Preset     string `json:"preset"`            // that it was trained by
	ImagesSeen int64  `json:"images_seen"`       // in training
	Steps      int    `json:"steps,omitempty"`   // of a teacher's solver, Heun's, two evaluations each but the last
	Precision  string `json:"precision"`         // of its products, in making the images
	Order      string `json:"classes,omitempty"` // in which they follow each other, where there are any
	File       string `json:"-"`                 // path, empty for the embedded model
}

// Generation says how a model makes its images.
type Generation struct {
	Seed  uint64 // from which they follow, and which of more images are taken
	Steps int    // of a teacher's solver; 0 means as many as its run inverted with, or 40
	pagoda.Options
}

// Open opens a source by its name: a generator's or teacher's .safetensors file, or
// "" for the embedded model; a folder or .zip file of images; the arr_0 of an .npz file;
// "fashion-mnist" for the test split, "fashion-mnist:train" for the other, and likewise
// a file of prepared images.
func Open(name string, g Generation) (Source, error) {
	split, isFashion := strings.CutPrefix(name, fashion)
	path, part := cutSplit(name)
	info, err := os.Stat(name)
	switch ending := strings.ToLower(filepath.Ext(name)); {
	case data.IsPrepared(path):
		return openPrepared(path, part)
	case name == "" || ending == ".safetensors":
		return openNetworkSource(name, g)
	case isFashion && (split == "" || split[0] == ':'):
		return openFashion(strings.TrimPrefix(split, ":"))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	case info.IsDir() || ending == ".zip":
		return openFiles(name)
	case ending == ".npz":
		return openArrays(name)
	}
	return nil, fmt.Errorf("%w: %s is no .safetensors, .zip or .npz file, no folder and not fashion-mnist[:train]", ErrSource, name)
}

// check says what makes the range of images impossible to read.
func (i SourceInfo) check(first, n int) error {
	if first < 0 || n < 0 || i.N > 0 && first+n > i.N {
		return fmt.Errorf("%s has %d images, %d were asked for", i.Name, i.N, first+n)
	}
	return nil
}

// bytes is the size of one image.
func (i SourceInfo) bytes() int { return i.C * i.H * i.W }
