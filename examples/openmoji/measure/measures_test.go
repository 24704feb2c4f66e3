package main

import (
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

// hill is a smooth picture (1,1,16,16) with its top at (row,column).
func hill(s *torch.Scope, row, column, height float64) *torch.Tensor {
	var pixels []float32
	for r := range 16 {
		for c := range 16 {
			d := math.Hypot(float64(r)-row, float64(c)-column)
			pixels = append(pixels, float32(height*math.Exp(-d*d/12)))
		}
	}
	return s.FromFloat32(pixels, 1, 1, 16, 16)
}

func TestShift(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	a := hill(s, 8, 7, 1)
	for _, c := range []struct{ row, column, want float64 }{{8, 7, 0}, {9, 7, 1}, {8.5, 7, 0.5}, {10, 5, math.Sqrt(8)}} {
		if got := shift(a, hill(s, c.row, c.column, 1)); math.Abs(got-c.want) > 0.05 {
			t.Errorf("to (%g,%g) it is %g, want %g", c.row, c.column, got, c.want)
		}
	}
}

// Half the height is half the gradient and a quarter of the detail; a difference counts grey levels.
func TestSharpness(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Fatal(err)
	}
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	high, low := hill(s, 8, 7, 1), hill(s, 8, 7, 0.5)
	if ratio := gradient(s, low) / gradient(s, high); math.Abs(ratio-0.5) > 1e-5 {
		t.Errorf("gradient %g", ratio)
	}
	if ratio := detail(s, low) / detail(s, high); math.Abs(ratio-0.25) > 1e-5 {
		t.Errorf("detail %g", ratio)
	}
	if d := difference(s, s.Full(1, 1, 1, 2, 2), s.Full(-1, 1, 1, 2, 2)); math.Abs(d-255) > 1e-3 {
		t.Errorf("difference %g", d)
	}
}
