package data

import (
	"encoding/binary"
	"math/rand/v2"
)

// Order is the order in which training sees the images of a data set. It
// depends on the seed and the count of images seen alone, so that a run that
// is resumed sees what it would have seen. It is not safe for concurrent use.
type Order struct {
	n      int
	mirror bool
	seed   uint64

	epoch    int64 // the epoch in the fields below
	indices  []int
	mirrored []bool
}

// NewOrder returns the order of n images, n > 0: a new permutation in every
// epoch of n images. With mirror, chance decides whether an image is flipped
// in an even epoch, and in the odd epoch after it the image comes the other way.
func NewOrder(n int, mirror bool, seed uint64) *Order {
	return &Order{n: n, mirror: mirror, seed: seed, epoch: -1, mirrored: make([]bool, n)}
}

// At returns the index of the image that comes after imagesSeen others, and
// whether it is to be flipped left to right.
func (o *Order) At(imagesSeen int64) (index int, mirrored bool) {
	if epoch := imagesSeen / int64(o.n); epoch != o.epoch {
		o.shuffle(epoch)
	}
	index = o.indices[imagesSeen%int64(o.n)]
	return index, o.mirrored[index]
}

// Batch returns the size images that come after imagesSeen others, as [Order.At]
// does one by one.
func (o *Order) Batch(imagesSeen int64, size int) (indices []int, mirrored []bool) {
	indices, mirrored = make([]int, size), make([]bool, size)
	for k := range size {
		indices[k], mirrored[k] = o.At(imagesSeen + int64(k))
	}
	return indices, mirrored
}

func (o *Order) shuffle(epoch int64) {
	o.epoch = epoch
	o.indices = o.random("order", epoch).Perm(o.n)
	if !o.mirror {
		return
	}
	coin := o.random("mirror", epoch/2)
	for i := range o.mirrored {
		heads := coin.Uint64()&1 == 1
		o.mirrored[i] = heads == (epoch%2 == 0)
	}
}

// random returns the random numbers for one purpose in one epoch.
func (o *Order) random(purpose string, epoch int64) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], o.seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(epoch))
	copy(key[16:], purpose)
	return rand.New(rand.NewChaCha8(key))
}
