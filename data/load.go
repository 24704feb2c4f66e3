package data

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrSource: a data source that Load does not know.
var ErrSource = errors.New("unknown data source")

// Load reads a split of a source at resolution×resolution pixels in the given
// number of channels, 1 (grey) or 3 (RGB). Sources:
//
//   - "fashion-mnist", path: its folder, when not the system's.
//   - "folder", path: a folder with a subfolder for each class, or with folders
//     called train and test that have them.
//   - "zip", path: an archive of what is in such a folder.
//   - "prepared", path: a file that [Prepare] wrote of one of these.
//
// A source without splits has only [Train]. Images of folders and archives are
// PNG, JPEG, GIF, BMP, WebP or TIFF files, each cut by [CenterCrop]. A class is
// named by its path; classes and images are in the order of their names, hidden
// ones are left out. Where there is a dataset.json of EDM's dataset_tool.py, that
// has the classes. Errors: [ErrSource], [ErrNotInstalled], [ErrEmpty], and
// [ErrImage], [ErrLabels] or those of [OpenPrepared] with the file's path.
func Load(source, path string, split Split, resolution, channels int) (*Dataset, error) {
	switch source {
	case "fashion-mnist":
		d, err := FashionMNIST(path, split)
		if err != nil {
			return nil, err
		}
		if channels != d.C {
			return nil, fmt.Errorf("%s has %d channel, the configuration asks for %d", d.Name, d.C, channels)
		}
		return d.Pad(resolution, resolution)
	case "folder", "zip", "prepared":
		if is := SourceOf(path); is != source && is != "folder" {
			return nil, fmt.Errorf("%s is no source %q: set data.source to %q", path, source, is)
		}
		if source == "prepared" {
			return loadPrepared(path, split, resolution, channels)
		}
		p, err := openPictures(path, source == "zip", split)
		if err != nil {
			return nil, err
		}
		defer p.close()
		return p.dataset(resolution, channels)
	}
	return nil, fmt.Errorf(`%w %q: it is "fashion-mnist", "folder", "zip" or "prepared"`, ErrSource, source)
}

func loadPrepared(path string, split Split, resolution, channels int) (*Dataset, error) {
	if path == "" {
		return nil, errors.New("no file of prepared images is named; --data or data.path does that")
	}
	d, err := OpenPrepared(path, split)
	if err != nil {
		return nil, err
	}
	if d.C != channels || d.H != resolution || d.W != resolution {
		err := fmt.Errorf("%s has images of %d×%d×%d, the configuration asks for %d×%d×%d", path, d.C, d.H, d.W, channels, resolution, resolution)
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// SourceOf is the source of pictures that a path names: "prepared" and "zip" for
// files of these kinds, else "folder".
func SourceOf(path string) string {
	switch {
	case IsPrepared(path):
		return "prepared"
	case isArchive(path):
		return "zip"
	}
	return "folder"
}

func isArchive(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var begin [4]byte
	_, err = io.ReadFull(file, begin[:])
	return err == nil && string(begin[:]) == "PK\x03\x04"
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
