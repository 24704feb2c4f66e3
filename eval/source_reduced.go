package eval

import (
	"context"
	"fmt"

	"github.com/pagoda-go/pagoda/torch"
)

// reducedSource brings the images of another source down by averaging areas, as
// training does, rounded to 8 bits.
type reducedSource struct {
	Source
	h, w int
}

// sameSize gives real images the size of the generated ones: reduced by a whole
// factor, or not at all.
func sameSize(real Source, generated SourceInfo) (Source, error) {
	r := real.Info()
	switch {
	case r.H == generated.H && r.W == generated.W:
		return real, nil
	case r.H%generated.H == 0 && r.W%generated.W == 0 && r.H/generated.H == r.W/generated.W:
		return &reducedSource{real, generated.H, generated.W}, nil
	}
	return nil, fmt.Errorf("the images of %s are %d×%d, those of %s %d×%d: bring them to one size first",
		r.Name, r.H, r.W, generated.Name, generated.H, generated.W)
}

func (r *reducedSource) Info() SourceInfo {
	info := r.Source.Info()
	reduced := fmt.Sprintf("%d×%d reduced to %d×%d by averaging areas", info.H, info.W, r.h, r.w)
	if info.Resize != "" {
		reduced = info.Resize + ", " + reduced
	}
	info.Resize, info.H, info.W = reduced, r.h, r.w
	return info
}

func (r *reducedSource) Read(ctx context.Context, first, n int) (pixels []uint8, labels []int, err error) {
	defer torch.Recover(&err)
	if pixels, labels, err = r.Source.Read(ctx, first, n); err != nil {
		return nil, nil, err
	}
	info := r.Source.Info()
	s := torch.NewScope(torch.CPU)
	defer s.Close()
	x := s.To(s.FromBytes(pixels, torch.Uint8, n, info.C, info.H, info.W), torch.Float32)
	x = s.Resize(x, r.h, r.w, torch.Area)
	return s.Affine(x, 1, 0.5).Uint8s(), labels, nil // the half rounds, the conversion cuts
}
