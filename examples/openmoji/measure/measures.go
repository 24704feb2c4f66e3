package main

import (
	"math"

	"github.com/pagoda-go/pagoda/torch"
)

// difference is the root mean square difference of pictures in [-1,1], in grey levels.
func difference(s *torch.Scope, a, b *torch.Tensor) float64 {
	return 127.5 * math.Sqrt(s.Mean(s.Square(s.Sub(a, b))).Item())
}

// gradient is the mean length of the gradient of the brightness of pictures (N,C,H,W).
func gradient(s *torch.Scope, x *torch.Tensor) float64 {
	x = s.MeanKeep(x, 1)
	h, w := x.Dim(2)-1, x.Dim(3)-1
	at := func(row, column int) *torch.Tensor { return s.Narrow(s.Narrow(x, 2, row, h), 3, column, w) }
	right, down := s.Sub(at(0, 1), at(0, 0)), s.Sub(at(1, 0), at(0, 0))
	return s.Mean(s.Sqrt(s.Add(s.Square(right), s.Square(down)))).Item()
}

// detail is the mean square of what pictures (N,C,H,W) lose by halving their size.
func detail(s *torch.Scope, x *torch.Tensor) float64 {
	h, w := x.Dim(2), x.Dim(3)
	coarse := s.Resize(s.Resize(x, h/2, w/2, torch.Area), h, w, torch.Nearest)
	return s.Mean(s.Square(s.Sub(x, coarse))).Item()
}

// reach is the largest displacement that is tried, in pixels.
const reach = 3

// shift is the mean length of the displacement at which pictures b (N,C,H,W) resemble a most.
func shift(a, b *torch.Tensor) float64 {
	shape := a.Shape()
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	x, y := a.Float32s(), b.Float32s()
	sum := 0.
	for i := range n {
		at := func(x []float32) planes { return planes{x[i*c*h*w:][:c*h*w], c, h, w} }
		sum += displacement(at(x), at(y))
	}
	return sum / float64(n)
}

// planes is a picture (c,h,w).
type planes struct {
	pixels  []float32
	c, h, w int
}

// displacement finds the whole pixels by which b must move, and between them the
// vertex of the parabola through the neighbours' differences: interpolated
// pixels would be smoother, and resemble a better for that alone.
func displacement(a, b planes) float64 {
	const side = 2*reach + 1
	var apart [side][side]float64
	row, column := reach, reach
	for i := range side {
		for j := range side {
			apart[i][j] = apartBy(a, b, i-reach, j-reach)
		}
	}
	for i := range side {
		for j := range side {
			if apart[i][j] < apart[row][column] {
				row, column = i, j
			}
		}
	}
	dy, dx := float64(row-reach), float64(column-reach)
	if 0 < row && row < side-1 {
		dy += vertex(apart[row-1][column], apart[row][column], apart[row+1][column])
	}
	if 0 < column && column < side-1 {
		dx += vertex(apart[row][column-1], apart[row][column], apart[row][column+1])
	}
	return math.Hypot(dx, dy)
}

// vertex is where the parabola through (-1,left), (0,middle), (1,right) is lowest; middle is the least.
func vertex(left, middle, right float64) float64 {
	if bend := left - 2*middle + right; bend > 0 {
		return (left - right) / (2 * bend)
	}
	return 0
}

// apartBy is the mean squared difference of a and b moved by (dy,dx), where both are.
func apartBy(a, b planes, dy, dx int) float64 {
	sum, n := 0., 0
	for p := range a.c {
		for r := max(0, -dy); r < min(a.h, a.h-dy); r++ {
			for c := max(0, -dx); c < min(a.w, a.w-dx); c++ {
				d := float64(a.pixels[(p*a.h+r)*a.w+c] - b.pixels[(p*a.h+r+dy)*a.w+c+dx])
				sum += d * d
				n++
			}
		}
	}
	return sum / float64(n)
}
