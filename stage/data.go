package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
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
		err := fmt.Errorf("the pairs in %s are of other images than %s: sha256 %s, not %s", dir, images.Name, want, sum)
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// Test is the split that samples are measured against: of the same classes, and
// large enough for the neighbours that some scores look at.
func (e *Env) Test() (*data.Dataset, error) {
	const least = 6
	test, err := Images(e.Config.Data, data.Test)
	if err != nil {
		return nil, err
	}
	switch {
	case !slices.Equal(test.ClassNames, e.Data.ClassNames):
		err = fmt.Errorf("%s has the classes %q and %s %q: they must be the same", test.Name, test.ClassNames, e.Data.Name, e.Data.ClassNames)
	case test.Len() < least:
		err = fmt.Errorf("%s has %d images to measure against, at least %d are needed", test.Name, test.Len(), least)
	default:
		return test, nil
	}
	return nil, errors.Join(err, test.Close())
}

// ImagesFile says which images a run trains on.
const ImagesFile = "images.json"

// KeepImages makes sure that the run goes on with the images that it began with.
func (e *Env) KeepImages() error {
	sum := e.Data.SHA256()
	first, err := e.remember(ImagesFile, "sha256", sum)
	if err == nil && first != sum {
		err = fmt.Errorf("the run in %s began with other images, of sha256 %s, than %s of %s: put those back, or start a new run", e.Run.Dir, first, e.Data.Name, sum)
	}
	return err
}

// remember returns the digest that the run's file has under a name, which becomes
// the given one where there was none.
func (e *Env) remember(file, name, sum string) (first string, err error) {
	known := map[string]string{}
	text, err := os.ReadFile(e.Path(file))
	if err == nil {
		err = json.Unmarshal(text, &known)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("what the run began with: %w", err)
	}
	if first, ok := known[name]; ok {
		return first, nil
	}
	known[name] = sum
	return sum, checkpoint.WriteFileAtomic(e.Path(file), func(w io.Writer) error { return json.NewEncoder(w).Encode(known) })
}

// open opens weights that an earlier stage left; `pagoda command` makes them.
func (e *Env) open(path, command string) (*checkpoint.File, error) {
	f, err := checkpoint.OpenVerified(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s: run `pagoda %s` first", path, command)
	}
	return f, err
}
