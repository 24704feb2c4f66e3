package data

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// pictures are the image files of a folder or an archive, with their classes.
type pictures struct {
	name       string   // of the data set
	inside     string   // the folder, the archive or the split in it, for messages
	root, fsys fs.FS    // of the folder or the archive, and of the split in it
	files      []string // in the order of their names
	labels     []int32
	classNames []string
	close      func() error
}

// openPictures lists the pictures of a folder, or of an archive where zipped, in the split's
// folder where there is one. Without it there is only [Train]; "" takes all there is.
func openPictures(source string, zipped bool, split Split) (_ *pictures, err error) {
	p := &pictures{inside: source, root: os.DirFS(source), close: func() error { return nil }}
	p.name = filepath.Base(filepath.Clean(source))
	if zipped {
		archive, err := zip.OpenReader(source)
		if err != nil {
			return nil, fmt.Errorf("cannot read the images in %s: %w", source, err)
		}
		p.root, p.close = archive, archive.Close
		p.name = strings.TrimSuffix(p.name, filepath.Ext(p.name))
	} else if err := mustBeFolder(source); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.close()
		}
	}()
	p.fsys = p.root
	if p.has(split) {
		p.inside = filepath.Join(source, string(split))
		if p.fsys, err = fs.Sub(p.root, string(split)); err != nil {
			return nil, fmt.Errorf("cannot read the images in %s: %w", p.inside, err)
		}
	} else if split == Test {
		return nil, fmt.Errorf("%s has no folder %q to measure against", source, split)
	}
	if p.files, err = listImages(p.fsys); err == nil && len(p.files) == 0 {
		err = fmt.Errorf("%w: it has no file named *%s", ErrEmpty, strings.Join(extensions, ", *"))
	}
	if err == nil {
		p.labels, p.classNames, err = classes(p.fsys, p.files)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the images in %s: %w", p.inside, err)
	}
	return p, nil
}

// has tells whether a split has a folder of its own.
func (p *pictures) has(split Split) bool {
	info, err := fs.Stat(p.root, string(split))
	return err == nil && info.IsDir()
}

func mustBeFolder(dir string) error {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no folder %q; --data or data.path names the one with the images (%w)", dir, fs.ErrNotExist)
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a folder; --data or data.path names the one with the images", dir)
	}
	return nil
}

// decode fills pixels (n,channels,resolution,resolution) with n pictures from first on, each cut by [CenterCrop].
func (p *pictures) decode(ctx context.Context, first int, pixels []uint8, resolution, channels int) error {
	size := channels * resolution * resolution
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range len(pixels) / size {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			img, err := decode(p.fsys, p.files[first+i])
			if err != nil {
				return fmt.Errorf("cannot read the images in %s: %w", p.inside, err)
			}
			copy(pixels[i*size:(i+1)*size], CenterCrop(img, resolution, channels))
			return nil
		})
	}
	return group.Wait()
}

// dataset decodes all pictures.
func (p *pictures) dataset(resolution, channels int) (*Dataset, error) {
	if err := checkSize(resolution, channels); err != nil {
		return nil, err
	}
	d := &Dataset{
		Name: p.name, C: channels, H: resolution, W: resolution, Labels: p.labels, ClassNames: p.classNames,
		Pixels: make([]uint8, len(p.files)*channels*resolution*resolution),
	}
	if err := p.decode(context.Background(), 0, d.Pixels, resolution, channels); err != nil {
		return nil, err
	}
	return d, nil
}

func checkSize(resolution, channels int) error {
	if resolution < 1 || channels != 1 && channels != 3 {
		return fmt.Errorf("images can have 1 or 3 channels and at least 1 pixel a side, not %d and %d", channels, resolution)
	}
	return nil
}
