package golden

import "github.com/pagoda-go/pagoda/torch"

// Draws are recorded random numbers of an augmentation, an entry an image. The
// fields are those of gan.Draws, to which it converts.
type Draws struct {
	Brightness, Saturation, Contrast []float32
	Translation, Cutout              [][2]int
}

// Draws reads the draws stored under prefix+"brightness" and so on.
func (f *File) Draws(prefix string) Draws {
	f.t.Helper()
	pairs := func(name string) (out [][2]int) {
		rows, columns := f.Floats(prefix+name+"_x"), f.Floats(prefix+name+"_y")
		for i := range rows {
			out = append(out, [2]int{int(rows[i]), int(columns[i])})
		}
		return out
	}
	return Draws{
		Brightness: f.Floats(prefix + "brightness"), Saturation: f.Floats(prefix + "saturation"), Contrast: f.Floats(prefix + "contrast"),
		Translation: pairs("translation"), Cutout: pairs("offset"),
	}
}

// First are the draws of the first n images.
func (d Draws) First(n int) Draws {
	return Draws{d.Brightness[:n], d.Saturation[:n], d.Contrast[:n], d.Translation[:n], d.Cutout[:n]}
}

// Augment transforms, by apply, as many of the first images of x (N,C,H,W) as there are draws.
func (d Draws) Augment(s *torch.Scope, x *torch.Tensor, apply func(x *torch.Tensor, d Draws) *torch.Tensor) *torch.Tensor {
	switch n := len(d.Brightness); n {
	case 0:
		return x
	case x.Dim(0):
		return apply(x, d)
	default:
		return s.Cat(0, apply(s.Narrow(x, 0, 0, n), d), s.Narrow(x, 0, n, x.Dim(0)-n))
	}
}
