package pairs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// A shard is written after so many latents or so much time, whichever comes first.
const (
	shardLength = 2048
	shardTime   = time.Minute
)

// Writer fills a store in the order of its pairs. Not safe for concurrent use.
type Writer struct {
	dir    string
	meta   Meta
	done   int       // pairs on disk
	buffer []float32 // latents of the pairs from done on
	saved  time.Time // when the last shard was written
}

// Create opens the store in dir for writing; dir is made when missing. When it
// holds a part of the same pairs already, writing goes on behind that; damaged
// files are dropped, with all that follow, to be made again. Pairs of any
// other Meta are [ErrOtherStore] and stay untouched.
func Create(dir string, meta Meta) (*Writer, error) {
	if err := meta.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the pairs: %w", err)
	}
	present, err := readMeta(dir)
	switch {
	case errors.Is(err, ErrNoStore):
		err = writeMeta(dir, meta)
	case err == nil && !present.Same(meta):
		err = fmt.Errorf("%s: %w, %s differ; choose another folder or remove this one", dir, ErrOtherStore, strings.Join(present.differences(meta), ", "))
	}
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, meta: meta, saved: time.Now()}
	if err := w.resume(); err != nil {
		return nil, fmt.Errorf("cannot go on with the pairs in %s: %w", dir, err)
	}
	return w, nil
}

// resume counts the pairs on disk and removes the files that are no use.
func (w *Writer) resume() error {
	useful := map[string]bool{}
	for w.done < w.meta.Count {
		part, err := openShard(w.dir, w.done, w.meta)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrShard) {
			break
		}
		if err != nil {
			return err
		}
		end, damaged := part.end(w.meta), part.verify()
		if err := part.file.Close(); err != nil {
			return err
		}
		if damaged != nil {
			break
		}
		useful[shardName(w.done)] = true
		w.done = end
	}
	items, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, item := range items {
		if isShard(item.Name()) && !useful[item.Name()] {
			if err := os.Remove(filepath.Join(w.dir, item.Name())); err != nil {
				return err
			}
		}
	}
	return checkpoint.RemoveTemporary(w.dir)
}

// Done returns the number of pairs on disk; pair Done() is the first to make
// after Create.
func (w *Writer) Done() int { return w.done }

// Append adds the latents (n,C,h,w) of the next n pairs. They are on disk once
// there are 2048 of them, a minute is over or the store is complete, always by whole calls, so
// that an inversion that resumes makes the same batches. [ErrLatents] when they
// are not whole latents or more than are missing.
func (w *Writer) Append(latents []float32) error {
	size := w.meta.latentSize()
	held := len(w.buffer) / size
	n := len(latents) / size
	if len(latents)%size != 0 || n > w.meta.Count-w.done-held {
		return fmt.Errorf("%w: %d floats after %d of %d pairs of %d", ErrLatents, len(latents), w.done+held, w.meta.Count, size)
	}
	w.buffer = append(w.buffer, latents...)
	if held += n; held >= shardLength || time.Since(w.saved) > shardTime || w.done+held == w.meta.Count {
		return w.flush()
	}
	return nil
}

// Close writes what is held back; the store may be incomplete still.
func (w *Writer) Close() error { return w.flush() }

func (w *Writer) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	if err := writeShard(w.dir, w.done, w.meta, w.buffer); err != nil {
		return err
	}
	w.done += len(w.buffer) / w.meta.latentSize()
	w.buffer, w.saved = w.buffer[:0], time.Now()
	return nil
}
