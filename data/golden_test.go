package data_test

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/internal/golden"
)

var crop = regexp.MustCompile(`^out\.(\w+)\.crop(\d+)$`)

// The crops of guided-diffusion's center_crop_arr under Pillow, from every
// golden file of the prefix "resize": in.img* and out.img*.crop<resolution>, HWC.
// One step of 255 is allowed, as the files' README says.
func TestGoldenCenterCrop(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		crops := 0
		for _, name := range f.Names() {
			m := crop.FindStringSubmatch(name)
			if m == nil {
				continue
			}
			crops++
			resolution, err := strconv.Atoi(m[2])
			if err != nil {
				t.Fatal(err)
			}
			in, out := f.Tensor("in."+m[1]), f.Tensor(name)
			c := out.Dim(2)
			planes := f.Scope.Permute(in, 2, 0, 1).Uint8s()
			picture := data.ToImages(planes, 1, in.Dim(2), in.Dim(0), in.Dim(1))[0]
			got, want := data.CenterCrop(picture, resolution, c), f.Scope.Permute(out, 2, 0, 1).Uint8s()
			if len(got) != len(want) {
				t.Fatalf("%s has %d bytes, want %d", name, len(got), len(want))
			}
			worst, differing := 0, 0
			for i := range got {
				d := max(int(got[i])-int(want[i]), int(want[i])-int(got[i]))
				worst = max(worst, d)
				if d > 0 {
					differing++
				}
			}
			if worst > 1 {
				t.Errorf("%s is off by up to %d", name, worst)
			}
			if differing > 0 {
				t.Logf("%s differs in %d of %d bytes", name, differing, len(got))
			}
		}
		if crops == 0 {
			t.Error("the file holds no crops")
		}
	}, "resize")
}
