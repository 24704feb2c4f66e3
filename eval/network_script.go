package eval

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/pagoda-go/pagoda/features/fetch"
	"github.com/pagoda-go/pagoda/torch"
)

// The rules by which a TorchScript module's images can be prepared.
const (
	// InputBytes hands over the uint8 images (N,3,H,W) as they are, to a module that
	// resizes and scales them itself, as StyleGAN's and EDM's Inception does. The default.
	InputBytes = "uint8"
	// InputImageNet resizes to 224×224 by bicubic interpolation with antialias and
	// normalises by ImageNet's mean and deviation, as DINOv2 and most
	// classifiers want and as EDM2 does for FD-DINOv2.
	InputImageNet = "imagenet"
)

// scriptNetwork is a TorchScript module.
type scriptNetwork struct {
	script *torch.Script
	info   NetworkInfo
	input  string
	// Modules of StyleGAN's family answer with features when they are told to.
	switches map[string]bool
}

// probeSide is the side of the image by which a module's answer is tried out.
const probeSide = 64

func openScript(path, input string, device torch.Device) (n Network, err error) {
	defer torch.Recover(&err)
	if input == "" {
		input = InputBytes
	}
	if input != InputBytes && input != InputImageNet {
		return nil, fmt.Errorf("%w %q for the input of a TorchScript module: it is %q or %q", ErrInput, input, InputBytes, InputImageNet)
	}
	sum, err := fetch.SHA256(path)
	if err != nil {
		return nil, err
	}
	script, err := torch.LoadScript(path, device)
	if err != nil {
		return nil, fmt.Errorf("the feature network %s: %w", path, err)
	}
	m := &scriptNetwork{script: script, input: input, switches: map[string]bool{"return_features": true}}
	published, err := fetch.Lookup(inceptionScript)
	if err != nil {
		return nil, err
	}
	m.info = NetworkInfo{
		Name: filepath.Base(path), SHA256: sum, Device: device, Rule: input, Input: "uint8, the module resizes and scales by itself",
		fid: sum == published.SHA256 && input == InputBytes,
	}
	if input == InputImageNet {
		m.info.Input = "resized to 224×224 (bicubic, antialias), scaled by ImageNet's mean and deviation"
	}
	if err := m.settle(device); err != nil {
		script.Close()
		return nil, fmt.Errorf("the feature network %s takes no images by the rule %q: %w", path, input, err)
	}
	return m, nil
}

// settle finds out how the module wants to be called: with three channels or
// one, told to answer with features or not. The error is that of the plain call.
func (m *scriptNetwork) settle(device torch.Device) error {
	told := m.switches
	var failed error
	for _, m.info.Channels = range []int{3, 1} {
		if m.info.Channels == 1 && m.input == InputImageNet {
			break // its mean and deviation are of three
		}
		var err error
		for _, m.switches = range []map[string]bool{told, nil} {
			if m.info.Dimensions, err = m.probe(device); err == nil {
				return nil
			}
		}
		failed = cmp.Or(failed, err)
	}
	return failed
}

// probe returns the number of features of an image.
func (m *scriptNetwork) probe(device torch.Device) (dimensions int, err error) {
	defer torch.Recover(&err)
	s := torch.NewScope(device)
	defer s.Close()
	c := m.info.Channels
	f := m.Answer(s, s.FromBytes(make([]byte, 2*c*probeSide*probeSide), torch.Uint8, 2, c, probeSide, probeSide)).Features
	if f.Dim(0) != 2 {
		return 0, fmt.Errorf("it answers to two images with the shape %v", f.Shape())
	}
	return f.Dim(1), nil
}

func (m *scriptNetwork) Info() NetworkInfo { return m.info }

func (m *scriptNetwork) Answer(s *torch.Scope, images *torch.Tensor) Answer {
	if m.input == InputImageNet {
		images = imageNet(s, images)
	}
	answers := m.script.Forward(s, images, m.switches)
	if len(answers) == 0 {
		panic(&torch.Error{Op: "script", Message: "the module answers with no tensor"})
	}
	f := answers[0]
	return Answer{Features: s.To(s.Reshape(f, f.Dim(0), -1), torch.Float32)}
}

func (m *scriptNetwork) Close() { m.script.Close() }

// imageNet prepares uint8 images for networks trained on ImageNet.
func imageNet(s *torch.Scope, images *torch.Tensor) *torch.Tensor {
	const side = 224
	mean := s.FromFloat32([]float32{0.485, 0.456, 0.406}, 3, 1, 1)
	deviation := s.FromFloat32([]float32{0.229, 0.224, 0.225}, 3, 1, 1)
	x := s.Scale(s.To(images, torch.Float32), 1./255)
	return s.Div(s.Sub(s.Resize(x, side, side, torch.BicubicAntialias), mean), deviation)
}
