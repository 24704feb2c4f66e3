package stage

import (
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
)

// Images loads the images of a run. Its errors are those of [data.Load].
func Images(c config.Data, split data.Split) (*data.Dataset, error) {
	d, err := data.Load(c.Source, c.Path, split, c.Resolution, c.Channels)
	if err == nil {
		d.MirrorClasses = c.MirrorClasses
	}
	return d, err
}

// Test is the split that samples are measured against.
func (e *Env) Test() (*data.Dataset, error) { return Images(e.Config.Data, data.Test) }
