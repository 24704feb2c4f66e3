package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pagoda-go/pagoda/torch"
)

// oneOf is a flag that takes some words only.
type oneOf struct {
	value *string
	words []string
}

func (o oneOf) String() string { return *o.value }

func (o oneOf) Type() string { return "string" }

func (o oneOf) Set(word string) error {
	if !slices.Contains(o.words, word) {
		return fmt.Errorf("it must be %s", strings.Join(o.words, " or "))
	}
	*o.value = word
	return nil
}

// precisions are the words that --precision takes.
var precisions = []string{torch.Float32.String(), torch.BFloat16.String(), torch.Float16.String()}

// parseDevice loads the engine and finds the device that --device names.
func parseDevice(name string) (torch.Device, error) {
	if err := torch.Load(); err != nil {
		return torch.CPU, err
	}
	device, err := torch.ParseDevice(name)
	if err != nil {
		return torch.CPU, fmt.Errorf("%w: --device: %w", errUsage, err)
	}
	return device, nil
}
