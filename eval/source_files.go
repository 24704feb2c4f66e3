package eval

import (
	"context"
	"errors"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/pagoda-go/pagoda/data"
)

// fileSource are the image files of a folder or a zip archive.
type fileSource struct {
	files  *data.Files
	labels []int
	info   SourceInfo
}

func openFiles(path string) (*fileSource, error) {
	files, err := data.OpenFiles(path)
	if err != nil {
		return nil, err
	}
	digest, err := files.Digest()
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	labels, classes := files.Classes()
	return &fileSource{files, labels, SourceInfo{
		Name: path, N: len(files.Names), C: files.C, H: files.H, W: files.W, Classes: classes, Digest: digest,
	}}, nil
}

func (f *fileSource) Info() SourceInfo { return f.info }

func (f *fileSource) Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	if err := f.info.check(first, n); err != nil {
		return nil, nil, err
	}
	size := f.info.bytes()
	pixels = make([]uint8, n*size)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			image, err := f.files.Pixels(first + i)
			copy(pixels[i*size:], image)
			return err
		})
	}
	if f.labels != nil {
		labels = f.labels[first : first+n]
	}
	return pixels, labels, group.Wait()
}

func (f *fileSource) Close() error { return f.files.Close() }
