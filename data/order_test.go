package data

import (
	"slices"
	"testing"
)

func TestOrderEpochs(t *testing.T) {
	const n = 50
	o := NewOrder(n, true, 1)
	var previous []int
	for epoch := range int64(6) {
		indices, _ := o.Batch(epoch*n, n)
		if slices.Equal(indices, previous) {
			t.Errorf("epoch %d repeats the one before", epoch)
		}
		previous = slices.Clone(indices)
		slices.Sort(indices)
		for i, index := range indices {
			if i != index {
				t.Fatalf("epoch %d is no permutation: %v", epoch, previous)
			}
		}
	}
}

func TestOrderMirrors(t *testing.T) {
	const n = 1000
	o := NewOrder(n, true, 1)
	var earlier [n]bool // whether the image came mirrored in the first pair of epochs
	for pair := range int64(2) {
		var mirroredTimes [n]int
		same := 0
		for k := range int64(2 * n) {
			index, mirrored := o.At(pair*2*n + k)
			if mirrored {
				mirroredTimes[index]++
			}
			if k < n {
				if pair > 0 && mirrored == earlier[index] {
					same++
				}
				earlier[index] = mirrored
			}
		}
		for index, times := range mirroredTimes {
			if times != 1 {
				t.Fatalf("image %d came mirrored %d times in two epochs", index, times)
			}
		}
		heads := 0
		for _, mirrored := range earlier {
			if mirrored {
				heads++
			}
		}
		if heads < 400 || heads > 600 {
			t.Errorf("%d of %d images came mirrored in epoch %d", heads, n, 2*pair)
		}
		if pair > 0 && (same < 400 || same > 600) {
			t.Errorf("%d of %d images came the same way two epochs before", same, n)
		}
	}
	plain := NewOrder(n, false, 1)
	for k := range int64(2 * n) {
		if _, mirrored := plain.At(k); mirrored {
			t.Fatal("an image came mirrored without being asked for")
		}
	}
}

// Whatever was asked before, the same count of images seen gives the same image.
func TestOrderHasNoHistory(t *testing.T) {
	const n = 10
	indices, mirrored := NewOrder(n, true, 3).Batch(0, 5*n)
	o := NewOrder(n, true, 3)
	for _, seen := range []int{49, 0, 12, 11, 30, 9, 10, 49} {
		index, flipped := o.At(int64(seen))
		if index != indices[seen] || flipped != mirrored[seen] {
			t.Errorf("after %d images: %d, %v; want %d, %v", seen, index, flipped, indices[seen], mirrored[seen])
		}
	}
	if other, _ := NewOrder(n, true, 4).Batch(0, 5*n); slices.Equal(other, indices) {
		t.Error("another seed gives the same order")
	}
}

// Runs must resume under newer versions of Go too.
func TestOrderIsStable(t *testing.T) {
	indices, mirrored := NewOrder(10, true, 1).Batch(5, 10)
	wantIndices := []int{0, 3, 6, 8, 5, 3, 0, 7, 2, 6}
	wantMirrored := []bool{false, true, true, false, false, false, true, true, true, false}
	if !slices.Equal(indices, wantIndices) || !slices.Equal(mirrored, wantMirrored) {
		t.Errorf("%#v, %#v; want %#v, %#v", indices, mirrored, wantIndices, wantMirrored)
	}
}
