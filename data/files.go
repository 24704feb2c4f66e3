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
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Files are the image files of a folder or a zip archive, read one at a time
// and at their own size.
type Files struct {
	Names   []string // paths within, in the order of their names; hidden ones are left out
	C, H, W int      // of the first image: 1 channel for grey, 3 for colour; height, width

	path  string
	fsys  fs.FS
	close func() error
}

// OpenFiles lists the images of [OpenFolder] and [OpenZip] without reading more
// than the first one's header. It returns [ErrEmpty] or [ErrImage].
func OpenFiles(source string) (f *Files, err error) {
	f = &Files{path: source, fsys: os.DirFS(source), close: func() error { return nil }}
	if !isFolder(source) {
		archive, err := zip.OpenReader(source)
		if err != nil {
			return nil, fmt.Errorf("cannot read the images in %s: %w", source, err)
		}
		f.fsys, f.close = archive, archive.Close
	}
	if err := f.list(); err != nil {
		_ = f.close()
		return nil, fmt.Errorf("cannot read the images in %s: %w", source, err)
	}
	return f, nil
}

func (f *Files) list() (err error) {
	if f.Names, err = listImages(f.fsys); err != nil {
		return err
	}
	if len(f.Names) == 0 {
		return fmt.Errorf("%w: it has no file named *%s", ErrEmpty, strings.Join(extensions, ", *"))
	}
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
		return nil, fmt.Errorf("in %s: %w", f.path, err)
	}
	if size := img.Bounds().Size(); size.X != f.W || size.Y != f.H {
		return nil, fmt.Errorf("%w: %s in %s has %d×%d pixels, %s has %d×%d: images to compare must be of one size",
			ErrImage, name, f.path, size.X, size.Y, f.Names[0], f.W, f.H)
	}
	if model := img.ColorModel(); f.C == 1 && model != color.GrayModel && model != color.Gray16Model {
		return nil, fmt.Errorf("%w: %s in %s is in colour, %s is grey", ErrImage, name, f.path, f.Names[0])
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

// Classes returns the class of every image, the folder it lies in, and the
// classes' names in their order; names are nil where there is one folder only.
func (f *Files) Classes() (labels []int, names []string) {
	for _, file := range f.Names {
		names = append(names, path.Dir(file))
	}
	folders := slices.Clone(names)
	slices.Sort(folders)
	folders = slices.Compact(folders)
	if len(folders) == 1 {
		return nil, nil
	}
	for _, name := range names {
		at, _ := slices.BinarySearch(folders, name)
		labels = append(labels, at)
	}
	return labels, folders
}

// Digest tells these files from others by their names, sizes and, in an archive,
// checksums, else times of change, without reading them.
func (f *Files) Digest() (string, error) {
	hash := sha256.New()
	for _, name := range f.Names {
		info, err := fs.Stat(f.fsys, name)
		if err != nil {
			return "", fmt.Errorf("in %s: %w", f.path, err)
		}
		if header, ok := info.Sys().(*zip.FileHeader); ok {
			fmt.Fprintln(hash, name, info.Size(), header.CRC32)
		} else {
			fmt.Fprintln(hash, filepath.ToSlash(name), info.Size(), info.ModTime().UnixNano())
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
