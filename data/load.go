package data

import (
	"errors"
	"fmt"
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
// [ErrImage], [ErrLabels] or [ErrPrepared] with the file's path.
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
	case "folder", "zip":
		p, err := openPictures(path, source == "zip", split)
		if err != nil {
			return nil, err
		}
		defer p.close()
		return p.dataset(resolution, channels)
	case "prepared":
		d, err := OpenPrepared(path, split)
		if err == nil && (d.C != channels || d.H != resolution || d.W != resolution) {
			err = errors.Join(fmt.Errorf("%s has images of %d×%d×%d, the configuration asks for %d×%d×%d", path, d.C, d.H, d.W, channels, resolution, resolution), d.Close())
			d = nil
		}
		return d, err
	}
	return nil, fmt.Errorf(`%w %q: it is "fashion-mnist", "folder", "zip" or "prepared"`, ErrSource, source)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
