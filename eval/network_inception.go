package eval

import (
	"cmp"
	"fmt"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// The ways to prepare Inception's images. Scores compare only where it is the same.
const (
	// InputTensorFlow is that of ADM, StyleGAN and EDM, the default.
	InputTensorFlow = "tensorflow"
	// InputPyTorch is that of pytorch-fid.
	InputPyTorch = "pytorch-fid"
)

// inceptionNetwork is FID's InceptionV3.
type inceptionNetwork struct {
	scope *torch.Scope
	net   *features.Inception
	input features.InceptionInput
	info  NetworkInfo
}

func openInception(input string, device torch.Device) (Network, error) {
	n := &inceptionNetwork{info: NetworkInfo{
		Name: "InceptionV3 of FID", Dimensions: 2048, Channels: 3, Device: device, fid: true,
	}}
	n.info.Rule = cmp.Or(input, InputTensorFlow)
	switch n.info.Rule {
	case InputTensorFlow:
		n.input, n.info.Input = features.InceptionTensorFlow, "resized to 299×299 as TensorFlow 1 does, then (x-128)/128, as ADM, StyleGAN and EDM"
	case InputPyTorch:
		n.input, n.info.Input = features.InceptionPyTorch, "x/255 resized to 299×299 bilinearly with half-pixel centres, then 2x-1, as pytorch-fid"
	default:
		return nil, fmt.Errorf("%w %q for the input of Inception: it is %q or %q", ErrInput, input, InputTensorFlow, InputPyTorch)
	}
	weights, published, err := fetch.Installed(inception)
	if err != nil {
		return nil, fmt.Errorf("the weights of Inception: %w", err)
	}
	if n.info.SHA256, err = fetch.SHA256(weights); err != nil {
		return nil, err
	}
	if n.info.SHA256 != published.SHA256 {
		n.info.Note = "NOT the published weights, whose sha256 is " + published.SHA256
	}
	file, err := pytorch.Open(weights)
	if err != nil {
		return nil, fmt.Errorf("the weights of Inception: %w", err)
	}
	defer file.Close()
	n.scope = torch.NewScope(device)
	if n.net, err = features.LoadInception(n.scope, file); err != nil {
		n.scope.Close()
		return nil, fmt.Errorf("the weights of Inception in %s: %w", weights, err)
	}
	return n, nil
}

func (n *inceptionNetwork) Info() NetworkInfo { return n.info }

func (n *inceptionNetwork) Answer(s *torch.Scope, images *torch.Tensor) Answer {
	out := n.net.Forward(s, n.input.Prepare(s, images))
	return Answer{Features: out.Features, Spatial: out.Spatial, Logits: out.Unbiased}
}

func (n *inceptionNetwork) Close() { n.scope.Close() }
