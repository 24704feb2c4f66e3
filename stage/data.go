package stage

import (
	"fmt"
	"path/filepath"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/data/pairs"
)

// Images loads the images of a run. Its errors are those of [data.Load].
func Images(c config.Data, split data.Split) (*data.Dataset, error) {
	d, err := data.Load(c.Source, c.Path, split, c.Resolution, c.Channels)
	if err == nil {
		d.MirrorClasses = c.MirrorClasses
	}
	return d, err
}

// OpenPairs opens the pairs of a run in dir, which must be of these images.
func OpenPairs(dir string, images *data.Dataset) (*pairs.Store, error) {
	store, err := pairs.Open(filepath.Join(dir, PairsDir))
	if err != nil {
		return nil, err
	}
	if want, sum := store.Meta().DatasetSHA256, images.SHA256(); sum != want {
		return nil, fmt.Errorf("the pairs in %s are of other images than %s: sha256 %s, not %s", dir, images.Name, want, sum)
	}
	return store, nil
}

// Test is the split that samples are measured against.
func (e *Env) Test() (*data.Dataset, error) { return Images(e.Config.Data, data.Test) }
