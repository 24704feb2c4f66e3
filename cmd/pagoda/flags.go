package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda/config"
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

// whole is a flag that takes whole numbers of a range only.
type whole struct {
	value       *int
	least, most int // no limit when most is 0
}

func (w whole) String() string { return strconv.Itoa(*w.value) }

func (w whole) Type() string { return "int" }

func (w whole) Set(text string) error {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return errors.New("it must be a whole number")
	case n < w.least:
		return fmt.Errorf("it must be at least %d", w.least)
	case w.most > 0 && n > w.most:
		return fmt.Errorf("it must be at most %d", w.most)
	}
	*w.value = n
	return nil
}

// mayWrite keeps a command from writing over a file that it was not told to.
func mayWrite(file string, force bool) error {
	switch info, err := os.Stat(file); {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder; name a file in it", file)
	case err == nil && !force:
		return fmt.Errorf("%s is there already; --force writes over it", file)
	}
	return nil
}

// precisions are the words that --precision takes.
var precisions = []string{torch.Float32.String(), torch.BFloat16.String(), torch.Float16.String()}

// loadPreset loads the preset, or the .toml file, that a flag or an argument names.
func loadPreset(what, name string) (*config.Config, error) {
	c, err := config.Load(name)
	if errors.Is(err, config.ErrNoPreset) {
		return nil, fmt.Errorf("%w: %s: %w", errUsage, what, err)
	}
	return c, err
}

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
