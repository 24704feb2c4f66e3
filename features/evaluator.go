package features

import (
	"math/rand/v2"

	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// Evaluator is the classifier that scores generated images. It shares nothing
// with Classifier, which the generator has learnt to please: ReLU, max pooling
// and two linear layers.
type Evaluator struct {
	Resolution int        // images of other sizes are brought to it
	Dropout    *rand.Rand // draws the masks of training, rate 0.3; nil: no dropout

	blocks   []*block
	features *nn.Linear
	head     *nn.Linear
}

// EvaluatorFeatures is the number of an Evaluator's features.
const EvaluatorFeatures = 128

const dropoutRate = 0.3

// EvaluatorResolution is the resolution of an evaluator with the given number
// of blocks: it halves its images after every block but the first, down to 4×4.
func EvaluatorResolution(blocks int) int { return 4 << (blocks - 1) }

// EvaluatorBlocks is the number of blocks for images of the given size: 4, for
// 32 pixels, and one more for every doubling.
func EvaluatorBlocks(size int) int {
	blocks := 4
	for EvaluatorResolution(blocks) < size {
		blocks++
	}
	return blocks
}

// NewEvaluator makes an evaluator of images with the given channels, with
// width, width, 2·width and 4·width feature channels, and 4·width in every block
// after those four.
func NewEvaluator(p nn.Path, channels, width, blocks, classes int) *Evaluator {
	e := &Evaluator{Resolution: EvaluatorResolution(blocks)}
	in := channels
	for i := range blocks {
		out := width * []int{1, 1, 2, 4}[min(i, 3)]
		e.blocks = append(e.blocks, newBlock(p.At("blocks", i), in, out, 1, 0))
		in = out
	}
	e.features = nn.NewLinear(p.At("features"), in*4*4, EvaluatorFeatures)
	e.head = nn.NewLinear(p.At("head"), EvaluatorFeatures, classes)
	return e
}

// Features are the activations before the last layer (N,EvaluatorFeatures),
// float32, of images (N,C,H,W) in [-1,1].
func (e *Evaluator) Features(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return e.penultimate(s, x, false)
}

func (e *Evaluator) penultimate(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	if x = enlarge(s, x, e.Resolution); x.Dim(3) > e.Resolution {
		x = s.Resize(x, e.Resolution, e.Resolution, torch.Area)
	}
	for i, b := range e.blocks {
		x = b.forward(s, x, train)
		if i > 0 {
			x = s.MaxPool2d(x, 2, 2, 0)
		}
	}
	return s.To(s.ReLU(e.features.Forward(s, s.Reshape(x, x.Dim(0), -1))), torch.Float32)
}

// Classify turns Features (N,EvaluatorFeatures) into class scores (N,classes), float32.
func (e *Evaluator) Classify(s *torch.Scope, features *torch.Tensor) *torch.Tensor {
	return s.To(e.head.Forward(s, features), torch.Float32)
}

// Logits are the class scores (N,classes), float32, of images (N,C,H,W) in
// [-1,1]; train normalises by the batch, updates the running statistics and
// applies Dropout.
func (e *Evaluator) Logits(s *torch.Scope, x *torch.Tensor, train bool) *torch.Tensor {
	f := e.penultimate(s, x, train)
	if train && e.Dropout != nil {
		f = s.Mul(f, e.mask(s, f.Shape()))
	}
	return e.Classify(s, f)
}

// mask is 0 where a feature is dropped and 1/(1-rate) elsewhere.
func (e *Evaluator) mask(s *torch.Scope, shape []int) *torch.Tensor {
	values := make([]float32, shape[0]*shape[1])
	for i := range values {
		if e.Dropout.Float32() >= dropoutRate {
			values[i] = 1 / (1 - dropoutRate)
		}
	}
	return s.FromFloat32(values, shape...)
}

// Fold returns the evaluator for use without training, BatchNorm folded into
// the convolutions. Its weights are copies in s, in the compute dtype of s.
func (e *Evaluator) Fold(s *torch.Scope) *Evaluator {
	folded := *e
	folded.blocks = foldAll(s, e.blocks)
	return &folded
}
