package data

import (
	"slices"
	"testing"
)

// tiny is two RGB images of 2×3 pixels with the values 0, 1, 2, …
func tiny() *Dataset {
	d := &Dataset{Name: "tiny", C: 3, H: 2, W: 3, Labels: []int32{1, 0}, ClassNames: []string{"a", "b"}}
	for i := range 2 * 3 * 2 * 3 {
		d.Pixels = append(d.Pixels, uint8(i))
	}
	return d
}

func TestPad(t *testing.T) {
	d := tiny()
	padded, err := d.Pad(4, 6)
	if err != nil {
		t.Fatal(err)
	}
	if padded.Len() != 2 || padded.C != 3 || padded.H != 4 || padded.W != 6 || padded.Labels[0] != 1 {
		t.Fatalf("%d images %d×%d×%d", padded.Len(), padded.C, padded.H, padded.W)
	}
	want := []uint8{
		0, 0, 0, 0, 0, 0,
		0, 24, 25, 26, 0, 0,
		0, 27, 28, 29, 0, 0,
		0, 0, 0, 0, 0, 0,
	}
	if got := padded.Image(1)[24:48]; !slices.Equal(got, want) {
		t.Errorf("second channel of the second image\n%v, want\n%v", got, want)
	}
	if d.H != 2 || !slices.Equal(d.Pixels, tiny().Pixels) {
		t.Error("the original changed")
	}
	if _, err := d.Pad(4, 2); err == nil {
		t.Error("images were padded to less than their size")
	}
}

func TestGather(t *testing.T) {
	d := tiny()
	pixels, labels := d.Gather([]int{1, 0, 1}, []bool{false, true, true})
	want := slices.Concat(d.Image(1),
		[]uint8{2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 17, 16, 15},
		[]uint8{20, 19, 18, 23, 22, 21, 26, 25, 24, 29, 28, 27, 32, 31, 30, 35, 34, 33})
	if !slices.Equal(pixels, want) || !slices.Equal(labels, []int32{0, 1, 0}) {
		t.Errorf("%v, %v", pixels, labels)
	}
	if !slices.Equal(d.Pixels, tiny().Pixels) {
		t.Error("the data set changed")
	}
	d.MirrorClasses = true
	if _, labels := d.Gather([]int{1, 0, 1}, []bool{false, true, true}); !slices.Equal(labels, []int32{0, 3, 2}) || d.Classes() != 4 {
		t.Errorf("labels of mirror images %v of %d classes", labels, d.Classes())
	}
}

func TestSHA256(t *testing.T) {
	digests := map[string]bool{}
	for _, change := range []func(*Dataset){
		func(*Dataset) {},
		func(d *Dataset) { d.Pixels[7]++ },
		func(d *Dataset) { d.H, d.W = d.W, d.H },
		func(d *Dataset) { d.Labels[1]++ },
	} {
		d := tiny()
		change(d)
		digests[d.SHA256()] = true
	}
	if len(digests) != 4 {
		t.Errorf("%d digests of 4 different data sets", len(digests))
	}
	if d := tiny(); d.SHA256() != tiny().SHA256() {
		t.Error("two digests of one data set")
	}
}
