package torch

import "runtime"

// Thread is an operating-system thread for computing. OpenMP, which libtorch
// computes with, keeps a pool of threads for every thread it is called from,
// and once all pools together have more threads than there are processors it
// lets them sleep between operators. Long computations therefore stay on one
// thread: this one, or one locked by runtime.LockOSThread.
type Thread struct{ jobs chan func() }

// NewThread starts a thread.
func NewThread() *Thread {
	t := &Thread{make(chan func())}
	go func() {
		runtime.LockOSThread() // and never unlock: the thread and its pool end with the goroutine
		for job := range t.jobs {
			job()
		}
	}()
	return t
}

// Do runs f on the thread, after the calls of Do before it, and returns its
// error. An operator's panic in f is returned as an error, as by [Recover];
// other panics go on in the caller.
func (t *Thread) Do(f func() error) (err error) {
	var fault any
	done := make(chan struct{})
	t.jobs <- func() {
		defer close(done)
		defer func() { fault = recover() }()
		defer Recover(&err)
		err = f()
	}
	<-done
	if fault != nil {
		panic(fault)
	}
	return err
}

// Close ends the thread; Do must not be called afterwards.
func (t *Thread) Close() { close(t.jobs) }
