// Package torch is a thin binding to libtorch: tensors, gradients and the
// operators that this project's networks call, no more.
//
// Three rules carry it.
//
// Every tensor belongs to the [Scope] whose method made it and is freed when
// that scope closes; native memory never waits for Go's garbage collector.
//
// What libtorch keeps per thread (recording of gradients) and what it leaves to
// the caller (the precision of convolutions and matrix products) are properties
// of the scope and travel with every call, so goroutines may move between
// threads. A scope itself is used by one goroutine at a time.
//
// Operators panic with [*Error], which names the operator and the operands'
// shapes: a wrong shape is a programming mistake. Exported functions of the
// packages above turn it into an error with [Recover].
//
// A long computation stays on one operating-system thread, for speed: see [Thread].
//
// libtorch is found when the program runs, not when it is built: see [Load].
package torch
