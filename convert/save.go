package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/network"
)

// Save writes the network to path as a file of this program, atomically: its
// weights, in half precision if asked, its description, and where it comes from.
// Of other precisions than float32 and float16 it makes float32.
func (n *Network) Save(path string, half bool) error {
	d := n.Description
	if n.file.own == nil {
		sum, err := digest(n.file.path)
		if err != nil {
			return err
		}
		d.Provenance = &network.Provenance{File: n.file.name(), SHA256: sum, Format: string(n.file.Format())}
	}
	metadata, err := d.Metadata()
	if err != nil {
		return err
	}
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

func (w weights) Tensor(name string) (checkpoint.Tensor, error) {
	t, err := w.network.file.tensor(w.network.Prefix + name)
	switch {
	case err != nil || t.DType == checkpoint.F16 || t.DType == checkpoint.F32 && !w.half:
		return t, err
	case w.half:
		if t = checkpoint.HalfFrom(t); t.DType != checkpoint.F16 {
			err = fmt.Errorf("%w: %q holds no weights", checkpoint.ErrDType, t.DType)
		}
		return t, err
	}
	values, err := checkpoint.Float32s(t)
	return checkpoint.FromFloat32s(values, t.Shape...), err
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
