package eval

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pagoda-go/pagoda/torch"
)

// Network is a frozen feature network, in evaluation mode.
type Network interface {
	Info() NetworkInfo
	// Answer sees uint8 images (N,Info().Channels,H,W). Its answers belong to s.
	Answer(s *torch.Scope, images *torch.Tensor) Answer
	Close()
}

// Answer is what a network says to N images, in float32.
type Answer struct {
	Features *torch.Tensor // (N,D)
	Spatial  *torch.Tensor // (N,E), the features of sFID; nil where the network has none
	Logits   *torch.Tensor // (N,classes); nil where the network has none
}

// NetworkInfo describes a feature network.
type NetworkInfo struct {
	Name       string       `json:"name"`
	SHA256     string       `json:"sha256"` // of its weights, as they lie in their file
	Dimensions int          `json:"dimensions"`
	Channels   int          `json:"channels"`
	Input      string       `json:"input"` // what becomes of the 8-bit images
	Note       string       `json:"note,omitempty"`
	Device     torch.Device `json:"-"` // that it runs on
	Classes    []string     `json:"-"` // that the logits stand for, when images can be labelled with them

	fid bool // its Fréchet distance is FID, its logits give the Inception Score
}

// OpenNetwork opens a feature network on the device by its name: "in-domain",
// the classifier of Fashion-MNIST that is part of the program; a .safetensors
// file with a classifier that a run trained to score by; "inception", FID's, with
// the file of its weights; or a TorchScript file. Input is the rule by which the
// last two are given images, empty for their first: [InputTensorFlow] or
// [InputPyTorch]; [InputBytes] or [InputImageNet].
func OpenNetwork(name, weights, input string, device torch.Device) (Network, error) {
	switch ending := strings.ToLower(filepath.Ext(name)); {
	case name == inDomain:
		return openClassifier("", device)
	case name == inception:
		return openInception(weights, input, device)
	case ending == ".safetensors":
		return openClassifier(name, device)
	case ending == ".pt" || ending == ".ts" || ending == ".pth" || ending == ".jit":
		return openScript(name, input, device)
	}
	return nil, fmt.Errorf("no feature network %q: it is %q, %q, a .safetensors file of a run's classifier, or a TorchScript file (.pt)", name, inDomain, inception)
}

const inDomain, inception = "in-domain", "inception"
