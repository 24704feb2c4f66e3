package eval

import (
	"fmt"

	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// classifierNetwork is a classifier trained on the data itself.
type classifierNetwork struct {
	scope *torch.Scope
	net   *stage.TrainedEvaluator
	name  string
}

func openClassifier(path string, device torch.Device) (Network, error) {
	scope := torch.NewScope(device)
	net, err := stage.OpenEvaluator(scope, path)
	if err != nil {
		scope.Close()
		return nil, fmt.Errorf("the in-domain classifier %s: %w", path, err)
	}
	return newClassifier(scope, net), nil
}

// newClassifier takes over the scope that a classifier's weights live in.
func newClassifier(scope *torch.Scope, net *stage.TrainedEvaluator) *classifierNetwork {
	return &classifierNetwork{scope, net, inDomain + " classifier"}
}

func (n *classifierNetwork) Info() NetworkInfo {
	return NetworkInfo{
		Name: n.name, SHA256: n.net.SHA256, Dimensions: features.EvaluatorFeatures, Channels: n.net.Channels,
		Device: n.scope.Device(), Classes: n.net.Classes,
		Input: fmt.Sprintf("scaled to [-1,1]; smaller than %d×%d enlarged bilinearly, larger reduced by area", n.net.Resolution, n.net.Resolution),
		Note:  fmt.Sprintf("right on %.1f %% of the test split it was trained beside", 100*n.net.Accuracy),
	}
}

func (n *classifierNetwork) Answer(s *torch.Scope, images *torch.Tensor) Answer {
	f := n.net.Features(s, s.Affine(s.To(images, torch.Float32), 1/127.5, -1))
	return Answer{Features: f, Logits: n.net.Classify(s, f)}
}

func (n *classifierNetwork) Close() { n.scope.Close() }
