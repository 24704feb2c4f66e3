package pagoda

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// kitchen computes pictures of one byte, their seed and number added, and keeps what was wanted in each block.
type kitchen struct {
	*queue
	blocks [][]int // pictures of each order
	fails  func() error
}

const testBlock = 8

func (k *kitchen) compute(shares []share) (pixels []uint8, err error) {
	var wanted []int
	for _, s := range shares {
		wanted = append(wanted, s.n)
		for i := range s.n {
			pixels = append(pixels, uint8(int(s.Seed)+s.first+i))
		}
	}
	k.blocks = append(k.blocks, wanted)
	if k.fails != nil {
		err = k.fails()
	}
	return pixels, err
}

func (k *kitchen) await(ctx context.Context, r Request) ([]uint8, error) {
	return k.queue.await(ctx, r, testBlock, k.compute)
}

// hold has all who come wait until the returned function is called.
func (k *kitchen) hold() (release func()) {
	k.turn <- struct{}{}
	return func() { synctest.Wait(); <-k.turn }
}

func TestRequestsShareBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kitchen{queue: newQueue()}
		release := k.hold()
		var group sync.WaitGroup
		for i, n := range []int{1, 20, 0, 1, 2, 1} {
			group.Go(func() {
				var told []int
				x, err := k.await(t.Context(), Request{N: n, First: 5, Seed: uint64(10 * i), Progress: func(done, _ int) { told = append(told, done) }})
				want := []uint8{}
				for j := range n {
					want = append(want, uint8(10*i+5+j))
				}
				if err != nil || !slices.Equal(x, want) || n > 0 && told[len(told)-1] != n || !slices.IsSorted(told) {
					t.Errorf("request %d: %v, want %v; told %v; %v", i, x, want, told, err)
				}
			})
			synctest.Wait() // for this one to be in the queue
		}
		release()
		group.Wait()
		// The large request takes what is left of a block, and goes behind the small ones.
		if want := [][]int{{1, 7}, {1, 2, 1, 4}, {8}, {1}}; !slices.EqualFunc(k.blocks, want, slices.Equal) {
			t.Errorf("blocks of %v, want %v", k.blocks, want)
		}
		if len(k.orders) > 0 {
			t.Errorf("%d requests are left in the queue", len(k.orders))
		}
	})
}

func TestCancelledRequestLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kitchen{queue: newQueue()}
		release := k.hold()
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if x, err := k.await(ctx, Request{N: 100}); !errors.Is(err, context.Canceled) {
				t.Error(x, err)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		group.Go(func() {
			if x, err := k.await(t.Context(), Request{N: 1}); err != nil || len(x) != 1 {
				t.Error(x, err)
			}
		})
		release()
		group.Wait()
		if len(k.blocks) != 1 || !slices.Equal(k.blocks[0], []int{1}) {
			t.Errorf("blocks of %v, want one picture", k.blocks)
		}
	})
}

// All whose pictures were in a block that failed hear of it, nobody waits for ever, and the next ones are served.
func TestFailedBlock(t *testing.T) {
	fault := errors.New("no memory")
	for name, test := range map[string]struct {
		fails func() error
		want  error
	}{
		"error": {func() error { return fault }, fault},
		"panic": {func() error { panic("index out of range") }, errFault},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &kitchen{queue: newQueue(), fails: test.fails}
			release := k.hold()
			var group sync.WaitGroup
			var panics atomic.Int32
			for i := range 3 {
				group.Go(func() {
					defer func() {
						if recover() != nil {
							panics.Add(1)
						}
					}()
					if _, err := k.await(t.Context(), Request{N: 2 + i*testBlock}); !errors.Is(err, test.want) {
						t.Errorf("%s: %v, want %v", name, err, test.want)
					}
				})
			}
			release()
			group.Wait()
			if wanted := map[string]int{"panic": len(k.blocks)}[name]; int(panics.Load()) != wanted || len(k.orders) > 0 {
				t.Errorf("%s: %d callers panicked in %d blocks", name, panics.Load(), len(k.blocks))
			}
			k.fails = nil
			if x, err := k.await(t.Context(), Request{N: 1}); err != nil || len(x) != 1 {
				t.Errorf("%s: afterwards %v, %v", name, x, err)
			}
		})
	}
}
