package features

import "github.com/pagoda-go/pagoda/torch"

// CrossEntropy is the mean over the batch of the cross entropy between logits
// (N,classes) and labels (N), float32. Smoothing is the share of the target
// that is spread evenly over all classes, 0 for none.
func CrossEntropy(s *torch.Scope, logits *torch.Tensor, labels []int64, smoothing float64) *torch.Tensor {
	log := s.LogSoftmax(s.To(logits, torch.Float32), 1)
	chosen := s.Mean(s.Gather(log, 1, s.FromInt64(labels, len(labels), 1)))
	return s.Add(s.Scale(chosen, smoothing-1), s.Scale(s.Mean(log), -smoothing))
}
