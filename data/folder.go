package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // decoder
	_ "image/jpeg" // decoder
	_ "image/png"  // decoder
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	_ "golang.org/x/image/bmp"  // decoder
	_ "golang.org/x/image/tiff" // decoder
	_ "golang.org/x/image/webp" // decoder
	"golang.org/x/sync/errgroup"
)

// ErrImage: a file with an image's name cannot be decoded.
var ErrImage = errors.New("not a usable image")

// extensions are the file names taken for images.
var extensions = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}

// maxPixels is the size beyond which an image's header is not believed.
const maxPixels = 1 << 28

// OpenFolder reads the PNG, JPEG, GIF, BMP, WebP and TIFF images below dir, each
// cut to (channels,resolution,resolution) by [CenterCrop] with 1 or 3
// channels. The folder an image lies in is its class, named by its path in
// dir; classes and images are in the order of their names, hidden ones are
// left out. It returns [ErrEmpty], or [ErrImage] with the file's path.
func OpenFolder(dir string, resolution, channels int) (*Dataset, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no folder %q; --data or data.path names the one with the images (%w)", dir, fs.ErrNotExist)
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("%s is not a folder; --data or data.path names the one with the images", dir)
	}
	d, err := readImages(os.DirFS(dir), resolution, channels)
	if err != nil {
		return nil, fmt.Errorf("cannot read the images in %s: %w", dir, err)
	}
	d.Name = filepath.Base(filepath.Clean(dir))
	return d, nil
}

// OpenZip is [OpenFolder] for a zip archive.
func OpenZip(archive string, resolution, channels int) (*Dataset, error) {
	return openZip(archive, "", resolution, channels)
}

// openZip reads the split of an archive, or all of it where it has none or none is named.
func openZip(archive string, split Split, resolution, channels int) (*Dataset, error) {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("cannot read the images in %s: %w", archive, err)
	}
	defer z.Close()
	images, inside := fs.FS(z), archive
	if info, err := fs.Stat(z, string(split)); err == nil && info.IsDir() {
		inside = filepath.Join(archive, string(split))
		images, err = fs.Sub(z, string(split))
		if err != nil {
			return nil, fmt.Errorf("cannot read the images in %s: %w", inside, err)
		}
	} else if split == Test {
		return nil, fmt.Errorf("%s has no folder %q to measure against", archive, split)
	}
	d, err := readImages(images, resolution, channels)
	if err != nil {
		return nil, fmt.Errorf("cannot read the images in %s: %w", inside, err)
	}
	d.Name = strings.TrimSuffix(filepath.Base(archive), filepath.Ext(archive))
	return d, nil
}

func readImages(fsys fs.FS, resolution, channels int) (*Dataset, error) {
	if resolution < 1 || channels != 1 && channels != 3 {
		return nil, fmt.Errorf("images can have 1 or 3 channels and at least 1 pixel a side, not %d and %d", channels, resolution)
	}
	files, err := listImages(fsys)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: it has no file named *%s", ErrEmpty, strings.Join(extensions, ", *"))
	}
	classes := map[string]int32{}
	for _, file := range files {
		classes[path.Dir(file)] = 0
	}
	d := &Dataset{C: channels, H: resolution, W: resolution, ClassNames: slices.Sorted(maps.Keys(classes))}
	for i, name := range d.ClassNames {
		classes[name] = int32(i)
	}
	d.Labels = make([]int32, len(files))
	d.Pixels = make([]uint8, len(files)*channels*resolution*resolution)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, file := range files {
		d.Labels[i] = classes[path.Dir(file)]
		group.Go(func() error {
			img, err := decode(fsys, file)
			if err != nil {
				return err
			}
			copy(d.Image(i), CenterCrop(img, resolution, channels))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return d, nil
}

// listImages returns the paths of the image files, sorted. Links to folders are
// followed, but not into a folder that they lie in.
func listImages(fsys fs.FS) ([]string, error) {
	var files []string
	err := walkImages(fsys, ".", nil, func(file string) { files = append(files, file) })
	slices.Sort(files)
	return files, err
}

// walkImages calls found with the image files in a folder that lies in the given ones, the outermost first.
func walkImages(fsys fs.FS, folder string, above []fs.FileInfo, found func(string)) error {
	info, err := fs.Stat(fsys, folder)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(outer fs.FileInfo) bool { return os.SameFile(outer, info) }) {
		return nil
	}
	items, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return err
	}
	above = append(slices.Clip(above), info)
	for _, item := range items {
		if strings.HasPrefix(item.Name(), ".") {
			continue
		}
		file, isFolder := path.Join(folder, item.Name()), item.IsDir()
		if item.Type()&fs.ModeSymlink != 0 {
			target, err := fs.Stat(fsys, file)
			if err != nil {
				return err
			}
			isFolder = target.IsDir()
		}
		switch {
		case isFolder:
			if err := walkImages(fsys, file, above, found); err != nil {
				return err
			}
		case slices.Contains(extensions, strings.ToLower(path.Ext(file))):
			found(file)
		}
	}
	return nil
}

// decode reads an image; what a decoder panics at is no usable image either.
func decode(fsys fs.FS, file string) (img image.Image, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%w: %s: its decoder failed: %v", ErrImage, file, fault)
		}
	}()
	content, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, file, err)
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height {
		return nil, fmt.Errorf("%w: %s has %d×%d pixels", ErrImage, file, config.Width, config.Height)
	}
	if img, _, err = image.Decode(bytes.NewReader(content)); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrImage, file, err)
	}
	return img, nil
}
