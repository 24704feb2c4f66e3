package config

import (
	"fmt"
	"slices"

	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/unet"
)

// Network is the base network: teacher, and lower part of every generator.
type Network struct {
	Architecture  string    `toml:"architecture"` // of the list below; empty for ADM
	Resolution    int       `toml:"resolution"`
	Channels      int       `toml:"channels"` // width unit
	Mult          []float64 `toml:"mult"`     // widths of the levels, finest first
	ResBlocks     int       `toml:"res_blocks"`
	Attention     []int     `toml:"attention"`     // resolutions with attention
	HeadChannels  int       `toml:"head_channels"` // zero: one head
	HeadOrder     string    `toml:"head_order"`    // ADM: "legacy", also when empty, or "flash"
	Groups        int       `toml:"groups"`        // ADM: of the normalisation; EDM's networks have their own rule
	AugmentDim    int       `toml:"augment_dim"`   // EDM's networks: numbers that describe an augmentation; none is applied here
	Checkpointing bool      `toml:"checkpointing"` // training computes activations again instead of keeping them
}

// Architectures: guided-diffusion's U-Net, which alone can grow, and EDM's networks.
const (
	ADM    = "adm"
	DDPMpp = "ddpm++"
	NCSNpp = "ncsn++"
	EDMADM = "edm-adm" // ADM as EDM's checkpoints store it
)

// Base is the architecture of the teacher.
func (c *Config) Base() network.Config {
	if n := c.Network; n.Architecture != "" && n.Architecture != ADM {
		e := n.edm()
		e.Channels, e.Dropout = c.Data.Channels, c.Teacher.Dropout
		return network.Config{EDM: e}
	}
	u := c.Network.adm()
	u.Channels, u.Dropout = c.Data.Channels, c.Teacher.Dropout
	return network.Config{ADM: u}
}

// Generator is the architecture after the first n growths. It drops nothing out.
func (c *Config) Generator(n int) network.Config {
	base := c.Base()
	if base.EDM != nil {
		base.EDM.Dropout = 0
		return base
	}
	u := base.ADM
	u.Dropout = 0
	for _, g := range c.Grow[:n] {
		u.DecoderMult = append(g.levels(u.OutputSize()), u.DecoderMult...)
		u.ModelChannelsHigh, u.ResBlocksHigh = 1, g.ResBlocks
		if len(g.DecoderMult) > 0 {
			u.DecoderMult = append(slices.Clone(u.DecoderMult[:u.Grown()]), g.DecoderMult...)
		}
	}
	return base
}

// Trained are the first output block that trains in the n-th growth, counted from
// 1, and the first that the generator below does not have.
func (c *Config) Trained(n int) (from, fresh int) {
	below := c.Generator(n - 1).ADM
	fresh = c.Generator(n).ADM.FirstNew(*below)
	if from = c.Grow[n-1].ActivateFrom; from == 0 {
		from = min(fresh, below.FinestBlock())
	}
	return from, fresh
}

// validateGrowth says what is wrong with a growth that starts from a valid network.
func (c *Config) validateGrowth(n int) error {
	g := c.Grow[n-1]
	if len(g.DecoderMult) > 0 && len(g.DecoderMult) != len(c.Network.Mult) {
		return fmt.Errorf("config: grow %d: decoder_mult has %d widths; it needs %d, one for every level of network.mult", n, len(g.DecoderMult), len(c.Network.Mult))
	}
	if err := c.Generator(n).Validate(); err != nil {
		return fmt.Errorf("config: grow %d: %w", n, err)
	}
	if from, fresh := c.Trained(n); from > fresh || from < 0 {
		return fmt.Errorf("config: grow %d: activate_from is %d; the output blocks from %d on are new and must train", n, from, fresh)
	}
	return nil
}

func (n Network) adm() *unet.Config {
	u := &unet.Config{
		InputSize: n.Resolution, ModelChannels: n.Channels, EncoderMult: n.Mult, DecoderMult: n.Mult, ResBlocks: n.ResBlocks,
		Heads: 1, HeadChannels: n.HeadChannels, HeadOrder: unet.HeadOrder(n.HeadOrder), FiLM: true, ResBlockScale: true, Groups: n.Groups,
	}
	if n.HeadOrder == "" {
		u.HeadOrder = unet.Legacy
	}
	for _, r := range n.Attention {
		u.Attention = append(u.Attention, n.Resolution/max(r, 1))
	}
	return u
}

// edm has EDM's settings of the architectures (NVlabs/edm train.py, training/networks.py).
func (n Network) edm() *edm.Config {
	e := &edm.Config{
		Architecture: edm.SongUNet, Resolution: n.Resolution, ModelChannels: n.Channels, EmbedMult: 4, Blocks: n.ResBlocks,
		Attention: n.Attention, HeadChannels: n.HeadChannels, AugmentDim: n.AugmentDim,
	}
	for _, m := range n.Mult {
		e.ChannelMult = append(e.ChannelMult, int(m))
	}
	switch n.Architecture {
	case DDPMpp:
		e.NoiseMult, e.ResampleFilter = 1, []float64{1, 1}
	case NCSNpp:
		e.NoiseMult, e.ResampleFilter, e.Fourier, e.ResidualEncoder = 2, []float64{1, 3, 3, 1}, true, true
	case EDMADM:
		e.Architecture = edm.DhariwalUNet
	}
	return e
}

// validate says what is wrong with the network by itself.
func (n Network) validate(growths int) error {
	switch n.Architecture {
	case "", ADM:
		if n.AugmentDim != 0 {
			return fmt.Errorf("config: network.augment_dim is %d; only EDM's networks have one", n.AugmentDim)
		}
	case DDPMpp, NCSNpp, EDMADM:
		if n.HeadOrder != "" || n.Groups != 0 {
			return fmt.Errorf("config: network.head_order and network.groups are for architecture %q; %q has its own", ADM, n.Architecture)
		}
		if growths > 0 {
			return fmt.Errorf("config: only architecture %q can grow, network.architecture is %q", ADM, n.Architecture)
		}
		for _, m := range n.Mult {
			if m != float64(int(m)) {
				return fmt.Errorf("config: network.mult has %v; widths of %q are whole multiples", m, n.Architecture)
			}
		}
	default:
		return fmt.Errorf("config: network.architecture is %q; it must be %q, %q, %q or %q", n.Architecture, ADM, DDPMpp, NCSNpp, EDMADM)
	}
	return nil
}
