package pagoda

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// errFault is what the others get whose pictures were computed with one that made the program panic.
var errFault = errors.New("a fault of the program ended the computation")

// queue is where requests wait. A block takes its time however few of its
// pictures are wanted, so those of several requests are computed together.
type queue struct {
	mu     sync.Mutex
	orders []*order // with pictures that nobody has begun, the next one to be served first
	turn   chan struct{}
}

// order is a request on its way. Its fields are the queue's.
type order struct {
	Request
	begun  int     // pictures
	pixels []uint8 // (made,C,H,W)
	made   int
	err    error
	news   chan struct{} // there are pictures, or an error
}

// share is a part of a block: n pictures of an order, number first and those after it.
type share struct {
	*order
	first, n int
}

func newQueue() *queue { return &queue{turn: make(chan struct{}, 1)} }

// await returns the pixels of a request once compute, which makes the pixels of
// a block's pictures in their order, has been called for all of them. Those who
// wait take turns at calling it, for whoever is first in the queue.
func (q *queue) await(ctx context.Context, r Request, block int, compute func([]share) ([]uint8, error)) ([]uint8, error) {
	if r.N == 0 {
		return nil, nil
	}
	o := &order{Request: r, news: make(chan struct{}, 1)}
	q.change(func() { q.orders = append(q.orders, o) })
	defer q.change(func() { q.orders = slices.DeleteFunc(q.orders, func(other *order) bool { return other == o }) })
	for told := 0; told < r.N; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.news:
		case q.turn <- struct{}{}:
			q.serve(o, block, compute)
		}
		made, err := 0, error(nil)
		q.change(func() { made, err = o.made, o.err })
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if made > told && r.Progress != nil {
			r.Progress(made, r.N)
		}
		told = made
	}
	return o.pixels, nil
}

func (q *queue) change(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
}

// serve has a block computed, unless the order whose turn it is has come to its end meanwhile.
func (q *queue) serve(o *order, block int, compute func([]share) ([]uint8, error)) {
	defer func() { <-q.turn }()
	var shares []share
	q.change(func() {
		if o.made < o.N && o.err == nil {
			shares = q.take(block)
		}
	})
	if len(shares) == 0 {
		return
	}
	pixels, err := []uint8(nil), errFault
	defer func() { q.change(func() { deliver(shares, pixels, err) }) }()
	pixels, err = compute(shares)
}

// take begins as many pictures as make a block. An order that has more of them goes behind the others.
func (q *queue) take(block int) (shares []share) {
	for block > 0 && len(q.orders) > 0 {
		o := q.orders[0]
		q.orders = q.orders[1:]
		if o.err != nil { // and has not left yet
			continue
		}
		n := min(block, o.N-o.begun)
		shares = append(shares, share{o, o.First + o.begun, n})
		o.begun += n
		block -= n
		if o.begun < o.N {
			q.orders = append(q.orders, o)
		}
	}
	return shares
}

func deliver(shares []share, pixels []uint8, err error) {
	all := 0
	for _, s := range shares {
		all += s.n
	}
	size := len(pixels) / all
	for _, s := range shares {
		if err == nil {
			s.pixels, pixels = append(s.pixels, pixels[:s.n*size]...), pixels[s.n*size:]
			s.made += s.n
		} else {
			s.err = err
		}
		select {
		case s.news <- struct{}{}:
		default: // it has not heard of the ones before
		}
	}
}
