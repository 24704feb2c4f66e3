package unet

import (
	"strconv"
	"strings"
)

// OutputBlocks is the number of output blocks: those of the base, and of every level above it.
func (c Config) OutputBlocks() int {
	return len(c.EncoderMult)*(c.ResBlocks+1) + c.Grown()*(c.ResBlocksHigh+1)
}

// FinestBlock is the first output block of the highest resolution. When a decoder
// grows, the blocks from there on train, the new ones above, and the head.
func (c Config) FinestBlock() int {
	if c.Grown() == 0 { // begins with the successor of the last upsampling
		return c.OutputBlocks() - (c.ResBlocks + 1)
	}
	return c.OutputBlocks() - (c.ResBlocksHigh + 1)
}

// FirstNew is the first output block that the network below does not have: the
// first above its own, or an earlier one where the base's decoder has other widths.
func (c Config) FirstNew(below Config) int {
	base, old := c.DecoderMult[c.Grown():], below.DecoderMult[below.Grown():]
	for i := range base {
		if level := len(base) - 1 - i; base[level] != old[level] { // the coarsest comes first
			return i * (c.ResBlocks + 1)
		}
	}
	return below.OutputBlocks()
}

// Trains tells whether a parameter belongs to output blocks from `from` on or to the head.
func Trains(name string, from int) bool {
	rest, ok := strings.CutPrefix(name, "output_blocks.")
	if !ok {
		return strings.HasPrefix(name, "out.")
	}
	index, _, _ := strings.Cut(rest, ".")
	i, err := strconv.Atoi(index)
	return err == nil && i >= from
}
