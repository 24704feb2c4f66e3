package unet

import (
	"encoding/json"
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Description is what a weights file says about itself.
type Description struct {
	Stage        string   `json:"stage"`  // "teacher" or "generator"
	Preset       string   `json:"preset"` // configuration it was trained by
	Architecture Config   `json:"architecture"`
	ClassNames   []string `json:"class_names,omitempty"`
	ImagesSeen   int64    `json:"images_seen"` // by this stage
}

const descriptionKey = "pagoda"

// Save writes the weights with their description to path, atomically, in half precision if asked.
func Save(path string, params *nn.Params, d Description, half bool) error {
	text, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("describing the model: %w", err)
	}
	state := map[string]checkpoint.Tensor{}
	params.Save(state, "")
	if half {
		for name, t := range state {
			state[name] = checkpoint.HalfFrom(t)
		}
	}
	return checkpoint.Write(path, state, map[string]string{descriptionKey: string(text)})
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

// Load builds the network that a weights file describes, frozen, in scope.
func Load(scope *torch.Scope, f *checkpoint.File) (u *UNet, params *nn.Params, d Description, err error) {
	defer torch.Recover(&err)
	if d, err = Describe(f); err != nil {
		return nil, nil, d, err
	}
	params = nn.NewBlankParams(scope)
	if u, err = New(params.Root(), d.Architecture); err != nil {
		return nil, nil, d, err
	}
	params.Freeze()
	return u, params, d, params.Load(f, "")
}
