package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrSource: a data source that Load does not know.
var ErrSource = errors.New("unknown data source")

// Load reads a split of a source at resolution×resolution pixels in the given
// number of channels. Sources: "fashion-mnist" (path: its folder, when not the
// system's); "folder" (path: a folder with a subfolder for each class, or with
// folders called train and test that have them); "zip" (path: an archive of what
// is in such a folder). A source without splits has only [Train].
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
	case "folder":
		if inside := filepath.Join(path, string(split)); isFolder(inside) {
			path = inside
		} else if split != Train {
			return nil, fmt.Errorf("%s has no folder %q to measure against", path, split)
		}
		return OpenFolder(path, resolution, channels)
	case "zip":
		return openZip(path, split, resolution, channels)
	}
	return nil, fmt.Errorf(`%w %q: it is "fashion-mnist", "folder" or "zip"`, ErrSource, source)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
