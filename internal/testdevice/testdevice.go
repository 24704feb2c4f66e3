// Package testdevice says where tests and benchmarks compute: on the processor,
// or on the device that PAGODA_DEVICE names, as in
//
//	PAGODA_DEVICE=cuda LIBTORCH=/path/to/libtorch go test -p 1 ./...
package testdevice

import (
	"cmp"
	"os"

	"github.com/pagoda-go/pagoda/torch"
)

// Device is the device under test. It panics when there is no such device.
func Device() torch.Device {
	d, err := torch.ParseDevice(cmp.Or(os.Getenv("PAGODA_DEVICE"), torch.CPU.String()))
	if err != nil {
		panic(err)
	}
	return d
}
