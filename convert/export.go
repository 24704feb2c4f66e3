package convert

import (
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
)

// Target is a format that weights are exported to.
type Target string

// PT is what torch.load reads as an OrderedDict of tensors, Safetensors what
// safetensors.torch.load_file reads; the latter keeps the description.
const (
	PT          Target = "pt"
	Safetensors Target = "safetensors"
)

// Export writes the weights in a file of this program for other programs, under
// the names of the reference's state_dict. Errors are those of package checkpoint.
func Export(from, to string, target Target) error {
	f, err := checkpoint.OpenVerified(from)
	if err != nil {
		return err
	}
	defer f.Close()
	d, err := network.Describe(f)
	if err != nil {
		return fmt.Errorf("%s is no file of this program: %w; pagoda import makes it one", from, err)
	}
	if target != PT && target != Safetensors {
		return fmt.Errorf("cannot export to %q: there are %q and %q", target, PT, Safetensors)
	}
	params, err := d.Architecture.Shapes()
	if err == nil {
		err = params.Match(f, "")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if target == Safetensors {
		metadata, err := d.Metadata()
		if err != nil {
			return err
		}
		metadata["format"] = "pt" // Python's loaders ask for it
		return checkpoint.WriteFrom(to, f, params.Names(), metadata)
	}
	tensors := map[string]checkpoint.Tensor{}
	for _, name := range params.Names() {
		if tensors[name], err = f.Tensor(name); err != nil {
			return err
		}
	}
	return pytorch.Write(to, tensors)
}
