package network

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// The stages whose networks are stored.
const (
	Teacher   = "teacher"   // the diffusion model at base resolution
	Generator = "generator" // the one-step network, grown or not
)

// Description is what a weights file says about itself.
type Description struct {
	Stage           string          `json:"stage"`  // Teacher or Generator
	Preset          string          `json:"preset"` // configuration it was trained by
	Architecture    Config          `json:"architecture"`
	Preconditioning Preconditioning `json:"preconditioning,omitzero"` // of a teacher; zero: Standard
	ClassNames      []string        `json:"class_names,omitempty"`
	MirrorClasses   bool            `json:"mirror_classes,omitempty"` // the second half of the classes are mirror images
	ImagesSeen      int64           `json:"images_seen"`              // by this stage
	Provenance      *Provenance     `json:"provenance,omitempty"`
}

// Classes is the number of classes that images can be asked of.
func (d Description) Classes() int {
	if d.MirrorClasses {
		return d.Architecture.Classes() / 2
	}
	return d.Architecture.Classes()
}

// ClassList are the names of those classes, or their numbers where they have none.
func (d Description) ClassList() []string {
	names := make([]string, d.Classes())
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	copy(names, d.ClassNames)
	return names
}

// Provenance says where imported weights come from.
type Provenance struct {
	File   string `json:"file"`             // name of the imported file, without its folder
	SHA256 string `json:"sha256"`           // of that file, hexadecimal; of an index and its shards together
	Format string `json:"format"`           // what kind of file it was
	Prefix string `json:"prefix,omitempty"` // of the weights' names in it, such as "ema.model."
	EMA    bool   `json:"ema"`              // whether its names say that they are averaged over training
}

const descriptionKey = "pagoda"

// Metadata is the description as a safetensors file carries it, with the resolution
// that follows from the architecture, for other readers.
func (d Description) Metadata() (map[string]string, error) {
	text, err := json.Marshal(struct {
		Description
		Resolution int `json:"resolution"`
	}{d, d.Architecture.OutputSize()})
	if err != nil {
		return nil, fmt.Errorf("describing the model: %w", err)
	}
	return map[string]string{descriptionKey: string(text)}, nil
}

// Save writes the weights with their description to path, atomically.
func Save(path string, params *nn.Params, d Description) error {
	metadata, err := d.Metadata()
	if err != nil {
		return err
	}
	state := map[string]checkpoint.Tensor{}
	params.Save(state, "")
	return checkpoint.Write(path, state, metadata)
}

// Describe reads the description in a weights file.
func Describe(f *checkpoint.File) (Description, error) {
	var d Description
	text, ok := f.Metadata()[descriptionKey]
	if !ok {
		return d, fmt.Errorf("the file has weights but no description of a network by this program")
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("the description of the network: %w", err)
	}
	return d, nil
}

// Network is a network from a weights file, frozen.
type Network struct {
	diffusion.Network // the raw network: a *unet.UNet, or an edm.Network
	Description       Description
	Params            *nn.Params

	wrapper diffusion.Wrapper
}

// Load builds the network that a weights file describes in scope.
func Load(scope *torch.Scope, f *checkpoint.File) (n *Network, err error) {
	defer torch.Recover(&err)
	d, err := Describe(f)
	if err != nil {
		return nil, err
	}
	shapes, err := d.Architecture.Shapes()
	if err == nil {
		err = shapes.Match(f, "") // before memory is taken for what a wrong description claims
	}
	if err != nil {
		return nil, err
	}
	if n, err = build(nn.NewBlankParams(scope), d); err != nil {
		return nil, err
	}
	return n, n.Params.Load(f, "")
}

// build makes the frozen network of a description.
func build(params *nn.Params, d Description) (*Network, error) {
	wrapper, argument, err := d.Preconditioning.wrapper()
	if err != nil {
		return nil, err
	}
	net, err := New(params.Root(), d.Architecture)
	if err != nil {
		return nil, err
	}
	params.Freeze()
	return &Network{seeing(net, argument), d, params, wrapper}, nil
}

// Random builds the network of a description in scope, frozen, with weights that
// depend on the seed: also those with which training would start at zero.
func Random(scope *torch.Scope, d Description, seed uint64) (*Network, error) {
	return build(nn.NewRandomParams(scope, seed), d)
}

// Denoiser is the network as a denoiser of images of the given classes (N),
// which an unconditional network ignores.
func (n *Network) Denoiser(classes []int64) diffusion.Denoiser {
	return diffusion.Wrap(n.wrapper, n.Network, n.Description.Architecture.Labels(classes))
}

// Generate is the network as a one-step generator: images (N,C,H,W) from latents
// z (N,C,h,w) of standard deviation diffusion.SigmaMax, of the given classes
// (N), which an unconditional network ignores.
func (n *Network) Generate(s *torch.Scope, z *torch.Tensor, classes []int64) *torch.Tensor {
	return diffusion.Generate(s, n.Network, z, n.Description.Architecture.Labels(classes))
}
