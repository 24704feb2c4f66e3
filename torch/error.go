package torch

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// Error is the failure of one operator: its name, the shapes of its tensor
// operands and libtorch's message, one line.
type Error struct {
	Op      string
	Shapes  [][]int
	Message string
}

func (e *Error) Error() string {
	shapes := make([]string, len(e.Shapes))
	for i, s := range e.Shapes {
		shapes[i] = fmt.Sprint(s)
	}
	return fmt.Sprintf("torch: %s(%s): %s", e.Op, strings.Join(shapes, ", "), e.Message)
}

// Recover turns an operator's panic into *err; other panics pass through.
// Use it deferred at the edge of a package:
//
//	defer torch.Recover(&err)
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

// check panics with an *Error when an operator returned a message.
func check(message *C.char, op string, operands ...*Tensor) {
	if message == nil {
		return
	}
	e := &Error{Op: op, Message: C.GoString(message)}
	C.free(unsafe.Pointer(message))
	for _, t := range operands {
		if t != nil && t.handle != nil {
			e.Shapes = append(e.Shapes, t.Shape())
		}
	}
	panic(e)
}
