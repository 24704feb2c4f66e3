// Package models holds the weights that are part of the program.
package models

import _ "embed"

// FashionMNIST is the one-step generator trained by the preset of that name, a
// safetensors file in half precision, as `pagoda import --half` writes it.
//
//go:embed fashion-mnist.safetensors
var FashionMNIST []byte
