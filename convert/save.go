package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
)

// Save writes the network to path as a file of this program, atomically: its
// weights, in half precision if asked, its description, and where it comes from.
// Of other precisions than float32 and float16 it makes float32.
func (n *Network) Save(path string, half bool) error {
	return n.write(path, half, nil)
}

// Target is a format that weights are exported to.
type Target string

// PT is what torch.load reads as an OrderedDict of tensors, Safetensors what
// safetensors.torch.load_file reads; the latter keeps the description.
const (
	PT          Target = "pt"
	Safetensors Target = "safetensors"
)

// Export writes the network to path for other programs, atomically, under the
// names of the reference's state_dict.
func (n *Network) Export(path string, target Target) error {
	switch target {
	case Safetensors:
		return n.write(path, false, map[string]string{"format": "pt"}) // some of Python's loaders ask for it
	case PT:
		params, err := n.Description.Architecture.Shapes()
		if err != nil {
			return err
		}
		return pytorch.WriteFrom(path, weights{n, false}, params.Names())
	}
	return fmt.Errorf("cannot export to %q: there are %q and %q", target, PT, Safetensors)
}

// write writes a safetensors file with more metadata than the description.
func (n *Network) write(path string, half bool, more map[string]string) error {
	d := n.Description
	if n.file.own == nil {
		sum, err := digest(append([]string{n.file.path}, n.file.weights.Shards()...)...)
		if err != nil {
			return err
		}
		d.Provenance = &network.Provenance{
			File: filepath.Base(n.file.path), SHA256: sum, Format: string(n.file.Format()), Prefix: n.Prefix, EMA: averaged(n.Prefix) || averaged(n.file.stem()),
		}
	}
	metadata, err := d.Metadata()
	if err != nil {
		return err
	}
	maps.Copy(metadata, more)
	params, err := d.Architecture.Shapes()
	if err != nil {
		return err
	}
	return checkpoint.WriteFrom(path, weights{n, half}, params.Names(), metadata)
}

// weights are a network's tensors in its file, by the network's names.
type weights struct {
	network *Network
	half    bool
}

// Tensor implements checkpoint.Source.
func (w weights) Tensor(name string) (checkpoint.Tensor, error) {
	t, err := w.network.file.tensor(w.network.Prefix + name)
	if err == nil && slices.Contains(head, name) && w.network.file.variances() {
		t.Shape, t.Data = slices.Clone(t.Shape), t.Data[:len(t.Data)/2] // the first half of the output
		t.Shape[0] /= 2
	}
	switch {
	case err != nil || t.DType == checkpoint.F16 || t.DType == checkpoint.F32 && !w.half:
		return t, err
	}
	values, err := checkpoint.Float32s(t)
	if t = checkpoint.FromFloat32s(values, t.Shape...); w.half {
		t = checkpoint.HalfFrom(t)
	}
	return t, err
}

// digest is the sha256 of files, one after the other.
func digest(paths ...string) (string, error) {
	hash := sha256.New()
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		if _, err = io.Copy(hash, file); err != nil {
			file.Close()
			return "", err
		}
		file.Close()
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
