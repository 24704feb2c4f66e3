package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

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
		tensors := map[string]checkpoint.Tensor{}
		for _, name := range params.Names() {
			if tensors[name], err = (weights{n, false}).Tensor(name); err != nil {
				return err
			}
		}
		return pytorch.Write(path, tensors)
	}
	return fmt.Errorf("cannot export to %q: there are %q and %q", target, PT, Safetensors)
}

// write writes a safetensors file with more metadata than the description.
func (n *Network) write(path string, half bool, more map[string]string) error {
	d := n.Description
	if n.file.own == nil {
		sum, err := digest(n.file.path)
		if err != nil {
			return err
		}
		d.Provenance = &network.Provenance{File: filepath.Base(n.file.path), SHA256: sum, Format: string(n.file.Format())}
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

// digest is the sha256 of a file; of sharded weights it is that of their index.
func digest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), err
}
