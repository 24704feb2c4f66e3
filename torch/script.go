package torch

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Script is a TorchScript module, a network with its weights in one file.
type Script struct{ handle C.pg_script }

// LoadScript reads a TorchScript file to the device, in evaluation mode, its
// parameters frozen. The file's code runs inside libtorch's interpreter, which reaches neither files
// nor the network.
func LoadScript(path string, device Device) (script *Script, err error) {
	defer Recover(&err)
	if err := Load(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("cannot open the TorchScript module: %w", err)
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	script = &Script{}
	check(C.pg_script_load(&script.handle, name, C.int(device)), "load script")
	return script, nil
}

// maxAnswers is the number of tensors that a module may return.
const maxAnswers = 64

// Forward calls the module with x and named switches. The tensors it returns,
// alone, in a tuple or in a list, belong to s.
func (v *Script) Forward(s *Scope, x *Tensor, switches map[string]bool) []*Tensor {
	var names []*C.char
	var values []C.int
	for name, on := range switches {
		c := C.CString(name)
		defer C.free(unsafe.Pointer(c))
		names, values = append(names, c), append(values, flag(on))
	}
	list := C.malloc(C.size_t(len(names)+1) * C.size_t(unsafe.Sizeof(uintptr(0)))) // Go may not pass pointers to pointers
	defer C.free(list)
	copy(unsafe.Slice((**C.char)(list), len(names)), names)
	answers := make([]C.pg_tensor, maxAnswers)
	n := C.int(maxAnswers)
	check(C.pg_script_run(s.mode(), &answers[0], &n, v.handle, x.c(), (**C.char)(list), unsafe.SliceData(values), C.int(len(names))), "script", x)
	out := make([]*Tensor, n)
	for i := range out {
		out[i] = s.own(&Tensor{handle: answers[i]})
	}
	return out
}

// Close frees the module.
func (v *Script) Close() {
	if v.handle != nil {
		check(C.pg_script_free(v.handle), "free script")
		v.handle = nil
	}
}
