package data

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// ErrPrepared: a file is not one that Prepare wrote, or has been damaged.
var ErrPrepared = errors.New("not a usable file of prepared images")

// A file of prepared images holds these tensors of each split, named SPLIT.images and so on,
// and in its metadata "classes", a JSON list of names.
const (
	imagesName  = ".images" // U8 (N,C,H,W)
	labelsName  = ".labels" // I32 (N)
	digestName  = ".sha256" // U8 (32), what Dataset.SHA256 returns
	classesName = "classes"
)

// Pictures are decoded this many at a time, or in this many bytes, before they are written.
const block, blockBytes = 1024, 256 << 20

// Prepare writes the images of a folder or a zip archive, the splits that it has,
// as [Load] reads them, to a safetensors file which [OpenPrepared] opens without
// reading or holding it all; its folder is made when missing. The file is written
// atomically, and memory holds no more than some of it. Progress is told of images
// done and of all; classes of the splits must be the same. Errors are those of Load
// and of ctx.
func Prepare(ctx context.Context, from, to string, resolution, channels int, progress func(done, total int)) (err error) {
	if err := checkSize(resolution, channels); err != nil {
		return err
	}
	if sameFile(from, to) {
		return fmt.Errorf("%s cannot be written over with what is prepared from it: name another file", from)
	}
	splits, err := openSplits(from)
	defer func() {
		for _, p := range splits {
			err = errors.Join(err, p.close())
		}
	}()
	if err != nil {
		return err
	}
	names, err := json.Marshal(splits[Train].classNames)
	if err != nil {
		return err
	}
	layouts, total := map[string]checkpoint.Tensor{}, 0
	for split, p := range splits {
		if !slices.Equal(p.classNames, splits[Train].classNames) {
			return fmt.Errorf("%s has the classes %q and %s %q: they must be the same", p.inside, p.classNames, splits[Train].inside, splits[Train].classNames)
		}
		n := len(p.files)
		layouts[string(split)+imagesName] = checkpoint.Tensor{DType: checkpoint.U8, Shape: []int{n, channels, resolution, resolution}}
		layouts[string(split)+labelsName] = checkpoint.Tensor{DType: checkpoint.I32, Shape: []int{n}}
		layouts[string(split)+digestName] = checkpoint.Tensor{DType: checkpoint.U8, Shape: []int{sha256.Size}}
		total += n
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	w := preparation{ctx: ctx, splits: splits, resolution: resolution, channels: channels, digests: map[Split]hash.Hash{}}
	w.progress = func(done int) { progress(done, total) }
	w.progress(0)
	return checkpoint.WriteStream(to, layouts, map[string]string{classesName: string(names)}, w.write)
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	other, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(one, other)
}

// openSplits opens what there is to train on and, where it has a folder of its own, what to measure against.
func openSplits(source string) (map[Split]*pictures, error) {
	zipped := !isFolder(source)
	train, err := openPictures(source, zipped, Train)
	if err != nil {
		return nil, err
	}
	splits := map[Split]*pictures{Train: train}
	if train.has(Test) {
		test, err := openPictures(source, zipped, Test)
		if err != nil {
			return splits, err
		}
		splits[Test] = test
	}
	return splits, nil
}

// preparation writes the tensors of a file in their order.
type preparation struct {
	ctx                  context.Context
	splits               map[Split]*pictures
	resolution, channels int
	progress             func(done int)
	done                 int
	digests              map[Split]hash.Hash // so far
}

func (w *preparation) write(name string, out io.Writer) error {
	split, kind := Split(strings.TrimSuffix(name, path.Ext(name))), path.Ext(name)
	p := w.splits[split]
	switch kind {
	case labelsName:
		return binary.Write(out, binary.LittleEndian, p.labels)
	case digestName:
		_, err := out.Write(finish(w.digests[split], p.labels))
		return err
	}
	w.digests[split] = newDigest(len(p.files), w.channels, w.resolution, w.resolution)
	size := w.channels * w.resolution * w.resolution
	step := max(1, min(block, blockBytes/size, len(p.files)))
	pixels := make([]uint8, step*size)
	for first := 0; first < len(p.files); first += step {
		pixels := pixels[:min(step, len(p.files)-first)*size]
		if err := p.decode(w.ctx, first, pixels, w.resolution, w.channels); err != nil {
			return err
		}
		w.digests[split].Write(pixels)
		if _, err := out.Write(pixels); err != nil {
			return err
		}
		w.done += len(pixels) / size
		w.progress(w.done)
	}
	return nil
}

// IsPrepared tells whether a file is one that [Prepare] wrote.
func IsPrepared(path string) bool {
	f, err := checkpoint.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.Tensor(string(Train) + imagesName)
	return err == nil
}

// ErrSplit: a file of prepared images has none of a split.
var ErrSplit = errors.New("the file has no such split")

// OpenPrepared maps a split of a file that [Prepare] wrote into memory: the system
// reads images when they are asked for and holds as many as there is room for. They
// are not to be changed, and gone after [Dataset.Close]; [Dataset.Verify] reads
// them all. What is wrong with the file is [ErrPrepared], [ErrSplit] or one of
// package checkpoint's errors.
func OpenPrepared(file string, split Split) (_ *Dataset, err error) {
	f, err := checkpoint.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), mapped: f, tensor: string(split) + imagesName}
	images, err := f.Tensor(d.tensor)
	if err != nil {
		if _, other := f.Tensor(string(Train) + imagesName); other == nil {
			return nil, fmt.Errorf("%s: %w: %q", file, ErrSplit, split)
		}
		return nil, unusable(file, err)
	}
	labels, err := f.Tensor(string(split) + labelsName)
	if err != nil {
		return nil, unusable(file, err)
	}
	digest, err := f.Tensor(string(split) + digestName)
	if err != nil {
		return nil, unusable(file, err)
	}
	if err := json.Unmarshal([]byte(f.Metadata()[classesName]), &d.ClassNames); err != nil {
		return nil, unusable(file, fmt.Errorf("its classes: %w", err))
	}
	if len(images.Shape) != 4 || images.DType != checkpoint.U8 || labels.DType != checkpoint.I32 || !slices.Equal(labels.Shape, images.Shape[:1]) {
		return nil, unusable(file, fmt.Errorf("it holds images %s%v and labels %s%v", images.DType, images.Shape, labels.DType, labels.Shape))
	}
	d.C, d.H, d.W, d.Pixels = images.Shape[1], images.Shape[2], images.Shape[3], images.Data
	if err := checkSize(d.H, d.C); err != nil || d.H != d.W {
		return nil, unusable(file, fmt.Errorf("its images are %d×%d×%d", d.C, d.H, d.W))
	}
	d.Labels = make([]int32, images.Shape[0])
	if _, err := binary.Decode(labels.Data, binary.LittleEndian, d.Labels); err != nil {
		return nil, unusable(file, err)
	}
	if d.Len() == 0 || slices.Min(d.Labels) < 0 || int(slices.Max(d.Labels)) >= len(d.ClassNames) {
		return nil, unusable(file, fmt.Errorf("it has %d images of %d classes", d.Len(), len(d.ClassNames)))
	}
	d.digest = hex.EncodeToString(digest.Data)
	return d, nil
}

func unusable(file string, err error) error {
	return fmt.Errorf("%s: %w: %w; run pagoda prepare again", file, ErrPrepared, err)
}

// Verify reads all images and compares them with the digest that prepared ones
// carry: [ErrPrepared] when a byte of pixels or labels has changed.
func (d *Dataset) Verify() error {
	if d.mapped != nil && d.sum() != d.digest {
		return fmt.Errorf("the images of %s have been damaged: %w", d.Name, ErrPrepared)
	}
	return nil
}
