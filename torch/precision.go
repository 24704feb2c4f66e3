package torch

import (
	"fmt"

	"golang.org/x/sys/cpu"
)

// FastBFloat16 tells whether this processor multiplies bfloat16 in hardware.
func FastBFloat16() bool { return cpu.X86.HasAVX512BF16 }

// Fastest is the dtype of products that the device is fastest in: BFloat16 where
// it multiplies that in hardware, else Float32.
func Fastest(d Device) DType {
	if d != CPU || FastBFloat16() {
		return BFloat16
	}
	return Float32
}

// ParsePrecision reads the dtype of products on a device: "float32", "bfloat16",
// "float16", or "" for [Fastest].
func ParsePrecision(name string, d Device) (DType, error) {
	if name == "" {
		return Fastest(d), nil
	}
	for _, t := range []DType{Float32, BFloat16, Float16} {
		if name == t.String() {
			return t, nil
		}
	}
	return Float32, fmt.Errorf(`precision is %q; it must be "float32", "bfloat16" or "float16"`, name)
}
