package pytorch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// maxIndex bounds the JSON of an index, as the header of a safetensors file is.
const maxIndex = 100_000_000

// index adds the tensors of a safetensors index, whose shards lie in folder.
func (f *File) index(content []byte, folder string) error {
	if len(content) > maxIndex {
		return fmt.Errorf("%w: its index has %d bytes", ErrTooLarge, len(content))
	}
	var index struct {
		Weights map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(content, &index); err != nil || index.Weights == nil {
		return fmt.Errorf("%w: it is JSON without a weight_map", ErrFormat)
	}
	shards := map[string]*checkpoint.File{}
	for _, name := range slices.Sorted(maps.Keys(index.Weights)) {
		file := index.Weights[name]
		if filepath.Base(file) != file || !filepath.IsLocal(file) {
			return fmt.Errorf("%w: %.100q is not the name of a file beside it", ErrShard, file)
		}
		shard, ok := shards[file]
		if !ok {
			var err error
			shard, err = checkpoint.Open(filepath.Join(folder, file))
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%w: the shard %s is missing, get it too and put it into %s", ErrShard, file, folder)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrShard, err)
			}
			shards[file] = shard
			f.closers = append(f.closers, shard.Close)
			f.shards = append(f.shards, filepath.Join(folder, file))
		}
		if _, err := shard.Tensor(name); err != nil {
			return fmt.Errorf("%w: %.200q is not in the shard %s", ErrShard, name, file)
		}
		f.tensors[name] = func() (checkpoint.Tensor, error) { return shard.Tensor(name) }
	}
	return nil
}
