package eval

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/metrics"
)

// store is the folder that a pass keeps its shards in, so that a second one goes
// on where the first was stopped. Its name follows from the images and the network.
type store struct{ dir string } // empty: nothing is kept

func (p *pass) store(source Source) (store, error) {
	if p.cache == "" {
		return store{}, nil
	}
	info, net := source.Info(), p.net.Info()
	made := ""
	switch m := source.(type) {
	case *modelSource:
		made = fmt.Sprintf("seed %d in %s", m.seed, info.Model.Precision)
	case *teacherSource:
		made = fmt.Sprintf("seed %d in %s, %d steps", m.seed, info.Model.Precision, info.Model.Steps)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%d×%d×%d|%s|%s|%s|%s", info.Digest, made, info.C, info.H, info.W, info.Resize, net.SHA256, net.Input, net.Device))
	dir := filepath.Join(p.cache, hex.EncodeToString(key[:16]))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return store{}, fmt.Errorf("cannot make the cache of features: %w", err)
	}
	return store{dir}, nil
}

func (c store) path(first int) string {
	return filepath.Join(c.dir, fmt.Sprintf("features-%08d.safetensors", first))
}

// load returns the shard of the images from first on, if it is there, whole and of n images.
func (c store) load(first, n int) (s shard, ok bool) {
	if c.dir == "" {
		return s, false
	}
	f, err := checkpoint.OpenVerified(c.path(first))
	if err != nil {
		return s, false
	}
	defer f.Close()
	for name, to := range map[string]*metrics.Features{"features": &s.features, "spatial": &s.spatial, "logits": &s.logits} {
		t, err := f.Tensor(name)
		if err != nil || len(t.Shape) != 2 {
			continue
		}
		values, err := checkpoint.Float32s(t)
		if err != nil {
			return s, false
		}
		*to = metrics.Features{N: t.Shape[0], D: t.Shape[1], Values: values}
	}
	if t, err := f.Tensor("labels"); err == nil {
		values, err := checkpoint.Float32s(t)
		if err != nil {
			return s, false
		}
		for _, v := range values {
			s.labels = append(s.labels, int(v))
		}
	}
	return s, s.features.N == n
}

// save keeps a shard, atomically.
func (c store) save(first int, s shard) error {
	if c.dir == "" {
		return nil
	}
	tensors := map[string]checkpoint.Tensor{}
	for name, f := range map[string]metrics.Features{"features": s.features, "spatial": s.spatial, "logits": s.logits} {
		if f.N > 0 {
			tensors[name] = checkpoint.FromFloat32s(f.Values, f.N, f.D)
		}
	}
	if s.labels != nil {
		labels := make([]float32, len(s.labels))
		for i, l := range s.labels {
			labels[i] = float32(l)
		}
		tensors["labels"] = checkpoint.FromFloat32s(labels, len(labels))
	}
	if err := checkpoint.Write(c.path(first), tensors, nil); err != nil {
		return fmt.Errorf("the cache of features: %w", err)
	}
	return nil
}
