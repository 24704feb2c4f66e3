package features

import (
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// module is a mixed module of Inception: branches side by side, their channels joined.
type module []branch

// branch is a pool, unless nil, and blocks in a row; ends, if any, follow the
// row side by side.
type branch struct {
	pool      func(s *torch.Scope, x *torch.Tensor) *torch.Tensor
	row, ends []*block
}

func averagePool(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return s.AvgPool2d(x, 3, 1, 1) }
func maxPool(s *torch.Scope, x *torch.Tensor) *torch.Tensor     { return s.MaxPool2d(x, 3, 1, 1) }
func halvingPool(s *torch.Scope, x *torch.Tensor) *torch.Tensor { return s.MaxPool2d(x, 3, 2, 0) }

func (m module) forward(s *torch.Scope, x *torch.Tensor) *torch.Tensor {
	return s.Local(func(s *torch.Scope) *torch.Tensor {
		var out []*torch.Tensor
		for _, b := range m {
			h := x
			if b.pool != nil {
				h = b.pool(s, h)
			}
			h = forwardAll(s, b.row, h)
			for _, end := range b.ends {
				out = append(out, end.forward(s, h, false))
			}
			if b.ends == nil {
				out = append(out, h)
			}
		}
		return s.Cat(1, out...)
	})
}

func forwardAll(s *torch.Scope, row []*block, x *torch.Tensor) *torch.Tensor {
	for _, b := range row {
		x = b.forward(s, x, false)
	}
	return x
}

// kernel is a convolution of a module: its name, its channels, and the
// height and width of its kernel.
type kernel struct {
	name                  string
	channels, high, width int
}

// newKernel makes the block of a convolution at p.
func newKernel(p nn.Path, in int, k kernel, o torch.ConvOptions) *block {
	return newConvNorm(p.At("conv"), p.At("bn"), in, k.channels, [2]int{k.high, k.width}, o, 1e-3, leaky(0))
}

// newRow makes convolutions in a row that keep the size of images.
func newRow(p nn.Path, in int, kernels ...kernel) []*block {
	var row []*block
	for _, k := range kernels {
		row = append(row, newKernel(p.At(k.name), in, k, torch.ConvOptions{Rect: [2]int{k.high / 2, k.width / 2}}))
		in = k.channels
	}
	return row
}

// newHalving makes the 3×3 convolution of stride 2, without padding, that ends a row.
func newHalving(p nn.Path, in, out int) *block {
	return newKernel(p, in, kernel{"", out, 3, 3}, torch.ConvOptions{Stride: 2})
}

// newEnds makes the pair of convolutions 1×3 and 3×1 that ends a row.
func newEnds(p nn.Path, name string, in int) []*block {
	return append(newRow(p, in, kernel{name + "a", 384, 1, 3}), newRow(p, in, kernel{name + "b", 384, 3, 1})...)
}

func newMixed5(p nn.Path, in, pooled int) module {
	return module{
		{row: newRow(p, in, kernel{"branch1x1", 64, 1, 1})},
		{row: newRow(p, in, kernel{"branch5x5_1", 48, 1, 1}, kernel{"branch5x5_2", 64, 5, 5})},
		{row: newRow(p, in, kernel{"branch3x3dbl_1", 64, 1, 1}, kernel{"branch3x3dbl_2", 96, 3, 3}, kernel{"branch3x3dbl_3", 96, 3, 3})},
		{pool: averagePool, row: newRow(p, in, kernel{"branch_pool", pooled, 1, 1})},
	}
}

func newMixed6a(p nn.Path, in int) module {
	double := newRow(p, in, kernel{"branch3x3dbl_1", 64, 1, 1}, kernel{"branch3x3dbl_2", 96, 3, 3})
	return module{
		{row: []*block{newHalving(p.At("branch3x3"), in, 384)}},
		{row: append(double, newHalving(p.At("branch3x3dbl_3"), 96, 96))},
		{pool: halvingPool},
	}
}

func newMixed6(p nn.Path, in, narrow int) module {
	return module{
		{row: newRow(p, in, kernel{"branch1x1", 192, 1, 1})},
		{row: newRow(p, in, kernel{"branch7x7_1", narrow, 1, 1}, kernel{"branch7x7_2", narrow, 1, 7}, kernel{"branch7x7_3", 192, 7, 1})},
		{row: newRow(p, in, kernel{"branch7x7dbl_1", narrow, 1, 1}, kernel{"branch7x7dbl_2", narrow, 7, 1}, kernel{"branch7x7dbl_3", narrow, 1, 7},
			kernel{"branch7x7dbl_4", narrow, 7, 1}, kernel{"branch7x7dbl_5", 192, 1, 7})},
		{pool: averagePool, row: newRow(p, in, kernel{"branch_pool", 192, 1, 1})},
	}
}

func newMixed7a(p nn.Path, in int) module {
	three := newRow(p, in, kernel{"branch3x3_1", 192, 1, 1})
	seven := newRow(p, in, kernel{"branch7x7x3_1", 192, 1, 1}, kernel{"branch7x7x3_2", 192, 1, 7}, kernel{"branch7x7x3_3", 192, 7, 1})
	return module{
		{row: append(three, newHalving(p.At("branch3x3_2"), 192, 320))},
		{row: append(seven, newHalving(p.At("branch7x7x3_4"), 192, 192))},
		{pool: halvingPool},
	}
}

func newMixed7(p nn.Path, in int, pool func(s *torch.Scope, x *torch.Tensor) *torch.Tensor) module {
	return module{
		{row: newRow(p, in, kernel{"branch1x1", 320, 1, 1})},
		{row: newRow(p, in, kernel{"branch3x3_1", 384, 1, 1}), ends: newEnds(p, "branch3x3_2", 384)},
		{row: newRow(p, in, kernel{"branch3x3dbl_1", 448, 1, 1}, kernel{"branch3x3dbl_2", 384, 3, 3}), ends: newEnds(p, "branch3x3dbl_3", 384)},
		{pool: pool, row: newRow(p, in, kernel{"branch_pool", 192, 1, 1})},
	}
}
