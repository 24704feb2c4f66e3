package stage

import "iter"

// blocks are the beginnings and lengths of blocks of n images of side×side pixels
// that are computed together: a few hundred small images, or one large.
func blocks(n, side int) iter.Seq2[int, int] {
	const most = 250
	block := max(1, min(most, most*32*32/(side*side)))
	return func(yield func(first, n int) bool) {
		for first := 0; first < n && yield(first, min(block, n-first)); first += block {
		}
	}
}
