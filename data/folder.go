package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // decoder
	_ "image/jpeg" // decoder
	_ "image/png"  // decoder
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	_ "golang.org/x/image/bmp"  // decoder
	_ "golang.org/x/image/tiff" // decoder
	_ "golang.org/x/image/webp" // decoder
)

// ErrImage: a file with an image's name cannot be decoded.
var ErrImage = errors.New("not a usable image")

// extensions are the file names taken for images.
var extensions = []string{".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}

// maxPixels is the size beyond which an image's header is not believed.
const maxPixels = 1 << 28

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
