package data

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"io/fs"
	"path/filepath"
)

// Files are the image files of a folder or a zip archive, read one at a time
// and at their own size.
type Files struct {
	Names   []string // paths within, in the order of their names; hidden ones are left out
	C, H, W int      // of the first image: 1 channel for grey, 3 for colour; height, width

	*pictures
}

// OpenFiles lists the images of a folder or an archive as [Load] does, without
// reading more than the first one's header. Errors are those of Load.
func OpenFiles(source string) (*Files, error) {
	p, err := openPictures(source, !isFolder(source), "")
	if err != nil {
		return nil, err
	}
	f := &Files{Names: p.files, pictures: p}
	if err := f.measure(); err != nil {
		_ = p.close()
		return nil, fmt.Errorf("cannot read the images in %s: %w", source, err)
	}
	return f, nil
}

// measure takes the size of the first image.
func (f *Files) measure() error {
	content, err := fs.ReadFile(f.fsys, f.Names[0])
	if err != nil {
		return err
	}
	first, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrImage, f.Names[0], err)
	}
	f.C, f.H, f.W = 3, first.Height, first.Width
	if first.ColorModel == color.GrayModel || first.ColorModel == color.Gray16Model {
		f.C = 1
	}
	return nil
}

// Close closes the archive.
func (f *Files) Close() error { return f.close() }

// Pixels returns image i as (C,H,W), transparent pixels white. An image of
// another size than the first is [ErrImage], and so is a coloured one where the
// first is grey; a grey one among coloured ones gets three equal channels.
func (f *Files) Pixels(i int) ([]uint8, error) {
	name := f.Names[i]
	img, err := decode(f.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("in %s: %w", f.inside, err)
	}
	if size := img.Bounds().Size(); size.X != f.W || size.Y != f.H {
		return nil, fmt.Errorf("%w: %s in %s has %d×%d pixels, %s has %d×%d: images to compare must be of one size",
			ErrImage, name, f.inside, size.X, size.Y, f.Names[0], f.W, f.H)
	}
	if model := img.ColorModel(); f.C == 1 && model != color.GrayModel && model != color.Gray16Model {
		return nil, fmt.Errorf("%w: %s in %s is in colour, %s is grey", ErrImage, name, f.inside, f.Names[0])
	}
	return rasterize(img, f.C).planes(), nil
}

// planes returns all pixels, (C,H,W).
func (r raster) planes() []uint8 {
	planes := make([]uint8, len(r.pix))
	for i, v := range r.pix {
		planes[i%r.c*r.h*r.w+i/r.c] = v
	}
	return planes
}

// Classes returns the class of every image and the classes' names in their order;
// both are nil where there is one class only.
func (f *Files) Classes() (labels []int, names []string) {
	if len(f.classNames) == 1 {
		return nil, nil
	}
	for _, label := range f.labels {
		labels = append(labels, int(label))
	}
	return labels, f.classNames
}

// Digest tells these files from others by their names, classes, sizes and, in an
// archive, checksums, else times of change, without reading them.
func (f *Files) Digest() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, f.classNames, f.labels)
	for _, name := range f.Names {
		info, err := fs.Stat(f.fsys, name)
		if err != nil {
			return "", fmt.Errorf("in %s: %w", f.inside, err)
		}
		if header, ok := info.Sys().(*zip.FileHeader); ok {
			fmt.Fprintln(hash, name, info.Size(), header.CRC32)
		} else {
			fmt.Fprintln(hash, filepath.ToSlash(name), info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
