package pairs

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// tensorName is the name of a shard's only tensor.
const tensorName = "latents"

var shardNames = regexp.MustCompile(`^latents-[0-9]{12}\.safetensors$`)

func isShard(name string) bool { return shardNames.MatchString(name) }

// shardName returns the name of the file whose latents begin with a pair.
func shardName(first int) string { return fmt.Sprintf("latents-%012d.safetensors", first) }

func writeShard(dir string, first int, m Meta, latents []float32) error {
	n := len(latents) / m.latentSize()
	return checkpoint.Write(filepath.Join(dir, shardName(first)), map[string]checkpoint.Tensor{
		tensorName: checkpoint.FromFloat32s(latents, n, m.C, m.H, m.W),
	}, nil)
}

// shard is a file of consecutive latents, mapped into memory.
type shard struct {
	path    string
	file    *checkpoint.File
	first   int    // pair
	latents []byte // (n,C,h,w), float32
}

// openShard opens the latents that begin with a pair, which are still to be verified. What is
// wrong with the file's content is ErrShard; the system's errors come as they are.
func openShard(dir string, first int, m Meta) (_ *shard, err error) {
	path := filepath.Join(dir, shardName(first))
	file, err := checkpoint.Open(path)
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShard, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	t, err := file.Tensor(tensorName)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrShard, path, err)
	}
	fits := t.DType == checkpoint.F32 && len(t.Shape) == 4 && t.Shape[0] > 0 &&
		t.Shape[0] <= m.Count-first && slices.Equal(t.Shape[1:], []int{m.C, m.H, m.W})
	if !fits {
		return nil, fmt.Errorf("%w: %s holds %s%v, which does not fit %d pairs of F32[%d %d %d]", ErrShard, path, t.DType, t.Shape, m.Count, m.C, m.H, m.W)
	}
	return &shard{path, file, first, t.Data}, nil
}

// verify reads the file through; one that has been damaged is ErrShard.
func (s *shard) verify() error {
	if err := s.file.Verify(); err != nil {
		return fmt.Errorf("%w: %s is damaged: %w", ErrShard, s.path, err)
	}
	return nil
}

// end is the pair after the last one.
func (s *shard) end(m Meta) int { return s.first + len(s.latents)/(floatSize*m.latentSize()) }
