package eval

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// Network is a frozen feature network, in evaluation mode.
type Network interface {
	// Info describes the network.
	Info() NetworkInfo
	// Answer sees uint8 images (N,Info().Channels,H,W). Its answers belong to s.
	Answer(s *torch.Scope, images *torch.Tensor) Answer
	// Close frees the weights.
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
	SHA256     string       `json:"sha256"`         // of the file with its weights
	Dimensions int          `json:"dimensions"`     // of its features
	Channels   int          `json:"channels"`       // of the images it sees
	Input      string       `json:"input"`          // what becomes of the 8-bit images
	Rule       string       `json:"rule,omitempty"` // the short name of that; empty where there is one only
	Note       string       `json:"note,omitempty"` // what else there is to know about the weights
	Device     torch.Device `json:"-"`              // that it runs on
	Classes    []string     `json:"-"`              // that the logits stand for, when images can be labelled with them

	fid bool // its Fréchet distance is FID, its logits give the Inception Score
}

// eyes names what weights see under a rule of input: the same for FID's Inception
// in its two published forms, whose features are equal.
func eyes(sha256, rule string) string {
	for name, as := range map[string]string{inception: InputTensorFlow, inceptionScript: InputBytes} {
		if w, err := fetch.Lookup(name); err == nil && w.SHA256 == sha256 && rule == as {
			return inception
		}
	}
	return sha256 + " " + rule
}

// OpenNetwork opens a feature network on the device by its name: "in-domain",
// the classifier of Fashion-MNIST that is part of the program; a .safetensors
// file with a classifier that a run trained to score by; "inception", FID's, from
// the published weights; "inception_script", the same as StyleGAN's and EDM's
// TorchScript; or any TorchScript file. Published weights are where package
// fetch installs them. Input is the rule by which images are given to
// "inception", [InputTensorFlow] (the default) or [InputPyTorch], and to
// TorchScript, [InputBytes] (the default) or [InputImageNet]. It returns
// [ErrNetworkName] or [ErrInput].
func OpenNetwork(name, input string, device torch.Device) (Network, error) {
	ending := strings.ToLower(filepath.Ext(name))
	if input != "" && (name == inDomain || ending == ".safetensors") {
		return nil, fmt.Errorf("%w %q for the input of a classifier of ours: it has one only", ErrInput, input)
	}
	switch {
	case name == inDomain:
		return openClassifier("", device)
	case name == inception:
		return openInception(input, device)
	case name == inceptionScript:
		path, _, err := fetch.Installed(inceptionScript)
		if err != nil {
			return nil, fmt.Errorf("the weights of Inception: %w", err)
		}
		return openScript(path, input, device)
	case ending == ".safetensors":
		return openClassifier(name, device)
	case ending == ".pt" || ending == ".ts" || ending == ".pth" || ending == ".jit":
		return openScript(name, input, device)
	}
	return nil, fmt.Errorf("%w %q: it is %q, %q, %q, a .safetensors file of a run's classifier, or a TorchScript file (.pt)", ErrNetworkName, name, inDomain, inception, inceptionScript)
}

// The ways OpenNetwork can be asked for what there is not.
var (
	// ErrNetworkName: the name is not one of a feature network.
	ErrNetworkName = errors.New("no feature network")
	// ErrInput: the network has no such rule of input.
	ErrInput = errors.New("no rule")
)

// The names of feature networks; the last two are package fetch's.
const inDomain, inception, inceptionScript = "in-domain", "inception", "inception_script"
