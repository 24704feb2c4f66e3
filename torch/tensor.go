package torch

// #include "bridge.h"
import "C"

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// DType is the type of a tensor's elements.
type DType int

// The element types; the values are the shim's codes.
const (
	Float32 DType = iota
	Float64
	BFloat16
	Float16
	Uint8
	Int64
	Bool
)

func (d DType) String() string {
	names := [...]string{"float32", "float64", "bfloat16", "float16", "uint8", "int64", "bool"}
	if d < 0 || int(d) >= len(names) {
		return fmt.Sprintf("DType(%d)", int(d))
	}
	return names[d]
}

// Size is the number of bytes of one element.
func (d DType) Size() int { return [...]int{4, 8, 2, 2, 1, 8, 1}[d] }

// Device is CPU or the index of a CUDA device.
type Device int

// CPU is the processor; CUDA devices are 0, 1, …
const CPU Device = -1

func (d Device) String() string {
	if d == CPU {
		return "cpu"
	}
	return fmt.Sprintf("cuda:%d", int(d))
}

// ParseDevice reads "cpu", or "" for it, "cuda" or "cuda:N"; a CUDA device must exist.
func ParseDevice(name string) (Device, error) {
	if name == "" || name == "cpu" {
		return CPU, nil
	}
	index := 0
	if number, numbered := strings.CutPrefix(name, "cuda:"); name != "cuda" {
		var err error
		if index, err = strconv.Atoi(number); !numbered || err != nil || index < 0 {
			return CPU, fmt.Errorf("device %q is neither cpu nor cuda nor cuda:N", name)
		}
	}
	info, err := Describe()
	if err != nil {
		return CPU, err
	}
	if index >= info.CUDA {
		return CPU, fmt.Errorf("device %s: libtorch %s sees %d CUDA devices; set LIBTORCH to one built for CUDA", name, info.Version, info.CUDA)
	}
	return Device(index), nil
}

// Tensor is a native array. A nil *Tensor stands for an absent optional operand.
type Tensor struct {
	handle C.pg_tensor
	slot   int // index in its scope
}

type description struct {
	shape        []int
	dtype        DType
	device       Device
	requiresGrad bool
}

func (t *Tensor) describe() description {
	var shape [8]C.int64_t
	var n, dtype, device, grad C.int
	check(C.pg_describe(&shape[0], &n, &dtype, &device, &grad, t.c()), "describe")
	d := description{make([]int, n), DType(dtype), Device(device), grad != 0}
	for i := range d.shape {
		d.shape[i] = int(shape[i])
	}
	return d
}

// Shape is the size of each dimension, (N,C,H,W) for images.
func (t *Tensor) Shape() []int { return t.describe().shape }

// Dim is the size of dimension i.
func (t *Tensor) Dim(i int) int { return t.describe().shape[i] }

// DType is the type of the elements.
func (t *Tensor) DType() DType { return t.describe().dtype }

// Device is where the tensor lives.
func (t *Tensor) Device() Device { return t.describe().device }

// RequiresGrad tells whether operations on the tensor are recorded.
func (t *Tensor) RequiresGrad() bool { return t.describe().requiresGrad }

// Len is the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape() {
		n *= d
	}
	return n
}

// Bytes copies the elements out in row-major order, little-endian, converted to dtype.
func (t *Tensor) Bytes(dtype DType) []byte {
	out := make([]byte, t.Len()*dtype.Size())
	t.read(unsafe.Pointer(unsafe.SliceData(out)), len(out), dtype)
	return out
}

// Float32s copies the elements out in row-major order.
func (t *Tensor) Float32s() []float32 {
	out := make([]float32, t.Len())
	t.CopyFloat32s(out)
	return out
}

// CopyFloat32s is Float32s into a slice of as many elements.
func (t *Tensor) CopyFloat32s(out []float32) {
	t.read(unsafe.Pointer(unsafe.SliceData(out)), 4*len(out), Float32)
}

// Float64s copies the elements out in row-major order.
func (t *Tensor) Float64s() []float64 {
	out := make([]float64, t.Len())
	t.read(unsafe.Pointer(unsafe.SliceData(out)), 8*len(out), Float64)
	return out
}

// Int64s copies the elements out in row-major order.
func (t *Tensor) Int64s() []int64 {
	out := make([]int64, t.Len())
	t.read(unsafe.Pointer(unsafe.SliceData(out)), 8*len(out), Int64)
	return out
}

// Uint8s copies the elements out in row-major order.
func (t *Tensor) Uint8s() []uint8 { return t.Bytes(Uint8) }

// Item is the value of a tensor of one element.
func (t *Tensor) Item() float64 {
	var out float64
	t.read(unsafe.Pointer(&out), 8, Float64)
	return out
}

func (t *Tensor) read(p unsafe.Pointer, size int, dtype DType) {
	check(C.pg_to_bytes(p, C.int64_t(size), t.c(), C.int(dtype)), "read", t)
}

// FromBytes makes a tensor from row-major little-endian elements, which it copies.
func (s *Scope) FromBytes(data []byte, dtype DType, shape ...int) *Tensor {
	size := dtype.Size()
	for _, d := range shape {
		size *= d
	}
	if size != len(data) {
		panic(&Error{Op: "from bytes", Message: fmt.Sprintf("%d bytes for %v of %v", len(data), shape, dtype)})
	}
	t := &Tensor{}
	dims, n := ints(shape)
	check(C.pg_from_bytes(&t.handle, unsafe.Pointer(unsafe.SliceData(data)), C.int(dtype), dims, n, C.int(s.device)), "from bytes")
	return s.own(t)
}

// FromFloat32 makes a float32 tensor of the given shape from row-major elements.
func (s *Scope) FromFloat32(data []float32, shape ...int) *Tensor {
	return s.FromBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 4*len(data)), Float32, shape...)
}

// FromFloat64 makes a float64 tensor of the given shape from row-major elements.
func (s *Scope) FromFloat64(data []float64, shape ...int) *Tensor {
	return s.FromBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 8*len(data)), Float64, shape...)
}

// FromInt64 makes an int64 tensor of the given shape from row-major elements.
func (s *Scope) FromInt64(data []int64, shape ...int) *Tensor {
	return s.FromBytes(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 8*len(data)), Int64, shape...)
}

// Full makes a float32 tensor filled with value.
func (s *Scope) Full(value float64, shape ...int) *Tensor {
	t := &Tensor{}
	dims, n := ints(shape)
	check(C.pg_full(&t.handle, C.double(value), C.int(Float32), dims, n, C.int(s.device), 0), "full")
	return s.own(t)
}

// ZerosChannelsLast makes float32 zeros (N,C,H,W) in the layout of the fast kernels.
func (s *Scope) ZerosChannelsLast(n, c, h, w int) *Tensor {
	t := &Tensor{}
	dims, rank := ints([]int{n, c, h, w})
	check(C.pg_full(&t.handle, 0, C.int(Float32), dims, rank, C.int(s.device), 1), "full")
	return s.own(t)
}

// Zeros makes a float32 tensor of zeros.
func (s *Scope) Zeros(shape ...int) *Tensor { return s.Full(0, shape...) }

// To converts to dtype on the scope's device.
func (s *Scope) To(x *Tensor, dtype DType) *Tensor {
	t := &Tensor{}
	check(C.pg_to(s.mode(), &t.handle, x.c(), C.int(dtype), C.int(s.device)), "to", x)
	return s.own(t)
}

// Write overwrites t with row-major little-endian elements of another type or
// its own; no more memory is taken. Nothing is recorded.
func (t *Tensor) Write(data []byte, dtype DType) {
	check(C.pg_write(t.c(), unsafe.Pointer(unsafe.SliceData(data)), C.int64_t(len(data)), C.int(dtype)), "write", t)
}

// WriteFloat32 is Write for row-major float32 values.
func (t *Tensor) WriteFloat32(values []float32) {
	t.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values)), Float32)
}

// Copy overwrites dst with src, converting its type; shapes must be equal. Nothing is recorded.
func (dst *Tensor) Copy(src *Tensor) {
	check(C.pg_copy(dst.c(), src.c()), "copy", dst, src)
}
