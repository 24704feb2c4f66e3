package torch_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/torch"
)

// resizings are the ways of torch.nn.functional.interpolate by the names of golden files.
var resizings = map[string]func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor{
	"bicubic_aa":             resizing(torch.BicubicAntialias),
	"bicubic":                resizing(torch.Bicubic),
	"bilinear":               resizing(torch.Bilinear),
	"nearest":                resizing(torch.Nearest),
	"area":                   resizing(torch.Area),
	"bilinear_align_corners": aligned(torch.Bilinear),
	"bicubic_align_corners":  aligned(torch.Bicubic),
}

func resizing(f torch.Filter) func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor {
	return func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor { return s.Resize(x, h, w, f) }
}

func aligned(f torch.Filter) func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor {
	return func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor { return s.ResizeAligned(x, h, w, f) }
}

// The forms of names in a file of resizings. Package data compares the crops.
var (
	cropOfImage    = regexp.MustCompile(`^out\.\w+\.crop\d+$`)
	resized        = regexp.MustCompile(`^out\.(\w+)\.(\d+)x(\d+)$`)
	scaled         = regexp.MustCompile(`^out\.(nearest_x|avgpool)(\d+)$`)
	resizedCrop    = regexp.MustCompile(`^out\.(\w+)_(\d+)_to_(\d+)_(\w+)$`)
	gradient       = regexp.MustCompile(`^grad\.(\w+)_(\d+)x(\d+)\.(in\.\w+)$`)
	floatTolerance = 1e-6
)

// Every output of the file is compared, also of sizes and factors not seen before.
func TestGoldenResize(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		s := f.Scope
		x := f.Tensor("in.t")
		number := func(digits string) int {
			n, err := strconv.Atoi(digits)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		by := func(name, kind string) func(s *torch.Scope, x *torch.Tensor, h, w int) *torch.Tensor {
			if resizings[kind] == nil {
				t.Fatalf("%s: no resizing %q", name, kind)
			}
			return resizings[kind]
		}
		for _, name := range f.Names() {
			if strings.HasPrefix(name, "in.") || strings.HasSuffix(name, ".in.cotangent") || cropOfImage.MatchString(name) {
				continue
			}
			if m := resized.FindStringSubmatch(name); m != nil {
				f.Compare(name, by(name, m[1])(s, x, number(m[2]), number(m[3])), floatTolerance, 0)
			} else if m := scaled.FindStringSubmatch(name); m != nil {
				compareScaled(f, name, m[1], x, number(m[2]))
			} else if m := resizedCrop.FindStringSubmatch(name); m != nil {
				crop := f.Tensor("out." + m[1] + ".crop" + m[2])
				h, w, c := crop.Dim(0), crop.Dim(1), crop.Dim(2)
				image := s.Affine(s.To(s.Reshape(s.Permute(crop, 2, 0, 1), 1, c, h, w), torch.Float32), 1/127.5, -1)
				f.Compare(name, by(name, m[4])(s, image, number(m[3]), number(m[3])), floatTolerance, 0)
			} else if m := gradient.FindStringSubmatch(name); m != nil {
				g := s.WithGrad()
				defer g.Close()
				leaf := f.Tensor(m[4])
				leaf.RequireGrad(true)
				y := by(name, m[1])(g, leaf, number(m[2]), number(m[3]))
				cotangent := f.Tensor(strings.TrimSuffix(name, m[4]) + "in.cotangent")
				f.Compare(name, g.VJP(y, cotangent, []*torch.Tensor{leaf})[0], floatTolerance, 0)
			} else {
				t.Errorf("nothing to compare %s with", name)
			}
		}
	}, "resize")
}

// compareScaled compares enlarging or averaging by a whole factor. Where it
// leaves no rest, the average of areas is the same as the pool.
func compareScaled(f *golden.File, name, kind string, x *torch.Tensor, factor int) {
	s := f.Scope
	h, w := x.Dim(2), x.Dim(3)
	if kind == "nearest_x" {
		f.Compare(name, s.Resize(x, factor*h, factor*w, torch.Nearest), 0, 0)
		return
	}
	f.Compare(name, s.AvgPool2d(x, factor, factor, 0), floatTolerance, 0)
	if h%factor == 0 && w%factor == 0 {
		f.Compare(name, s.Resize(x, h/factor, w/factor, torch.Area), floatTolerance, 0)
	}
}
