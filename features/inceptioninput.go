package features

import (
	"fmt"
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// InceptionInput is a way to bring images to 299×299 and to the range in which
// [Inception] sees them. Scores are comparable only where it is the same.
// None of them antialiases.
type InceptionInput int

// The ways in use.
const (
	// InceptionPyTorch is pytorch-fid's: images of values 0 to 255 become x/255,
	// are resized with half-pixel centres, and become 2x-1.
	InceptionPyTorch InceptionInput = iota
	// InceptionTensorFlow is that of ADM's graph, and of StyleGAN's and EDM's
	// TorchScript: images of values 0 to 255 are resized as TensorFlow 1 does,
	// pixel i from i·in/out, and become (x-128)/128.
	InceptionTensorFlow
	// InceptionUnrounded is InceptionTensorFlow of 127.5(x+1), for images in
	// [-1,1] that were not rounded to bytes (sony/pagoda evaluations/th_evaluator.py).
	InceptionUnrounded
)

// inceptionSide is the height and width of Inception's images.
const inceptionSide = 299

// Prepare turns images (N,3,H,W) of any size and type, in the range that the way
// asks for, into Inception's (N,3,299,299), float32.
func (i InceptionInput) Prepare(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		x := s.To(x, torch.Float32)
		switch i {
		case InceptionPyTorch:
			return s.Affine(s.Resize(s.Scale(x, 1./255), inceptionSide, inceptionSide, torch.Bilinear), 2, -1)
		case InceptionUnrounded:
			x = s.Affine(x, 127.5, 127.5)
		case InceptionTensorFlow:
		default:
			panic(fmt.Sprintf("features: no InceptionInput %d", int(i)))
		}
		return s.Affine(resizeTensorFlow(s, x, inceptionSide, inceptionSide), 1./128, -1)
	})
}

// resizeTensorFlow is ResizeBilinear of TensorFlow 1 without align_corners: pixel
// i is read at i·in/out, between two neighbours of which the last repeats; along
// the width first, then along the height.
func resizeTensorFlow(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor {
	for _, along := range []struct{ dim, out int }{{3, w}, {2, h}} {
		dim, out := along.dim, along.out
		in := x.Dim(dim)
		step := float32(in) / float32(out)
		low, high, share := make([]int64, out), make([]int64, out), make([]float32, out)
		for i := range out {
			at := float32(i) * step
			low[i] = int64(math.Floor(float64(at)))
			high[i] = min(low[i]+1, int64(in-1))
			share[i] = at - float32(low[i])
		}
		shape := []int{1, 1, 1, 1}
		shape[dim] = out
		a, b := s.IndexSelect(x, dim, s.FromInt64(low, out)), s.IndexSelect(x, dim, s.FromInt64(high, out))
		x = s.Add(a, s.Mul(s.Sub(b, a), s.FromFloat32(share, shape...)))
	}
	return x
}
