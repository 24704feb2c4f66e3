package doctor

import (
	"time"

	"github.com/pagoda-go/pagoda/torch"
)

// Speed is what one kind of work runs at.
type Speed struct {
	Work   string
	GFLOPs float64 // a second, measured
	Peak   float64 // likewise, of the machine for this type of number
}

// Share is the speed as a part of the peak.
func (s Speed) Share() float64 { return s.GFLOPs / s.Peak }

// MatrixProduct times a matrix product of 1024³ on the processor.
func MatrixProduct(dtype torch.DType) Speed { return matrixProduct(thisMachine(), dtype) }

func matrixProduct(m Machine, dtype torch.DType) Speed {
	const side = 1024
	s := torch.NewScope(torch.CPU).WithCompute(dtype)
	defer s.Close()
	a := s.To(s.Full(1, side, side), dtype)
	took := best(s, func(s *torch.Scope) { s.MatMul(a, a) })
	return Speed{"matrix product, " + dtype.String(), 2 * side * side * side / 1e9 / took, m.peak(dtype)}
}

// measure times a matrix product and a 3×3 convolution of 64 channels on 16
// images of 32×32, channels last. Its work is counted as the direct algorithm's,
// so that Winograd's, with 2.25 times fewer multiplications, can pass the peak.
func measure(m Machine) []Speed {
	const images, channels, pixels = 16, 64, 32 * 32
	var out []Speed
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		out = append(out, matrixProduct(m, dtype))
		s := torch.NewScope(torch.CPU).WithCompute(dtype)
		x := s.ChannelsLast(s.To(s.Full(1, images, channels, 32, 32), dtype))
		w := s.ChannelsLast(s.To(s.Full(1, channels, channels, 3, 3), dtype))
		conv := best(s, func(s *torch.Scope) { s.Conv2d(x, w, nil, torch.ConvOptions{Padding: 1}) })
		s.Close()
		out = append(out, Speed{"convolution, " + dtype.String(), 2 * images * pixels * channels * channels * 9 / 1e9 / conv, m.peak(dtype)})
	}
	return out
}

// best is the shortest of the runs that fit in a third of a second, in seconds.
func best(s *torch.Scope, work func(*torch.Scope)) float64 {
	shortest := time.Hour
	for begin := time.Now(); time.Since(begin) < time.Second/3; {
		c := s.Child()
		start := time.Now()
		work(c)
		shortest = min(shortest, time.Since(start))
		c.Close()
	}
	return shortest.Seconds()
}
