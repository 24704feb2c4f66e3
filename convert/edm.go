package convert

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/edm"
	"github.com/pagoda-go/pagoda/network"
)

// constructor has the arguments of SongUNet and DhariwalUNet (NVlabs/edm
// training/networks.py) that change what they compute.
type constructor struct {
	Resolution int       `json:"img_resolution"`
	In         int       `json:"in_channels"`
	Out        int       `json:"out_channels"`
	LabelDim   int       `json:"label_dim"`
	AugmentDim int       `json:"augment_dim"`
	Width      int       `json:"model_channels"`
	Mult       []int     `json:"channel_mult"`
	EmbedMult  int       `json:"channel_mult_emb"`
	Blocks     int       `json:"num_blocks"`
	Attention  []int     `json:"attn_resolutions"`
	Dropout    float64   `json:"dropout"`
	Embedding  string    `json:"embedding_type"`
	NoiseMult  int       `json:"channel_mult_noise"`
	Encoder    string    `json:"encoder_type"`
	Decoder    string    `json:"decoder_type"`
	Filter     []float64 `json:"resample_filter"`
}

// persistent is the teacher that EDM's objects at a prefix describe: a wrapper
// with a network in it. There is none in other files, which is ok = false.
func persistent(objects map[string]pytorch.Object, prefix string) (d network.Description, ok bool, err error) {
	at, ok := strings.CutSuffix(prefix, "model.") // what a wrapper calls its network
	wrapper, wrapped := objects[strings.TrimSuffix(at, ".")]
	inner, found := objects[strings.TrimSuffix(prefix, ".")]
	if !ok || !wrapped || !found {
		return d, false, nil
	}
	form, err := preconditioning(wrapper)
	if err != nil {
		return d, true, err
	}
	a, err := architecture(inner)
	return network.Description{Stage: network.Teacher, Architecture: network.Config{EDM: &a}, Preconditioning: form}, true, err
}

// preconditioning is what a wrapper stands for; zero for the standard one.
func preconditioning(wrapper pytorch.Object) (network.Preconditioning, error) {
	number := func(name string) float64 {
		switch v := wrapper.Attributes[name].(type) {
		case int:
			return float64(v)
		case float64:
			return v
		}
		return 0
	}
	p := network.Preconditioning{}
	switch wrapper.Class {
	case "EDMPrecond":
		p = network.Preconditioning{Form: network.EDM, SigmaData: number("sigma_data")}
	case "VPPrecond":
		p = network.Preconditioning{Form: network.VP, BetaD: number("beta_d"), BetaMin: number("beta_min"), Levels: int(number("M"))}
	case "VEPrecond":
		p = network.Preconditioning{Form: network.VE}
	default:
		return p, fmt.Errorf("%w: a network wrapped in %q; the wrappers known here are EDMPrecond, VPPrecond and VEPrecond", ErrUnknown, wrapper.Class)
	}
	switch {
	case p.Form == network.EDM && !(p.SigmaData > 0), p.Form == network.VP && (!(p.BetaD > 0) || !(p.BetaMin > 0) || p.Levels < 2):
		return p, fmt.Errorf("%w: a %s without its constants", ErrUnknown, wrapper.Class)
	case p == network.Standard:
		return network.Preconditioning{}, nil
	}
	return p, nil
}

// architecture is the network that was made by a constructor of EDM.
func architecture(o pytorch.Object) (edm.Config, error) {
	c := constructor{EmbedMult: 4, Dropout: 0.1, Embedding: "positional", NoiseMult: 1, Encoder: "standard", Decoder: "standard", Filter: []float64{1, 1}}
	a := edm.Config{Architecture: edm.Architecture(o.Class)}
	switch a.Architecture {
	case edm.SongUNet:
		c.Width, c.Mult, c.Blocks, c.Attention = 128, []int{1, 2, 2, 2}, 4, []int{16}
	case edm.DhariwalUNet:
		c.Width, c.Mult, c.Blocks, c.Attention = 192, []int{1, 2, 3, 4}, 3, []int{32, 16, 8}
		a.HeadChannels = 64
	default:
		return a, fmt.Errorf("%w: a network of class %q; those of EDM known here are SongUNet and DhariwalUNet", ErrUnknown, o.Class)
	}
	text, err := json.Marshal(o.Kwargs)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return a, fmt.Errorf("%w: the arguments of its %s: %w", ErrUnknown, o.Class, err)
	}
	if c.In != c.Out || c.Decoder != "standard" || c.Encoder != "standard" && c.Encoder != "residual" || c.Embedding != "positional" && c.Embedding != "fourier" {
		return a, fmt.Errorf("%w: a %s from %d to %d channels with encoder %q, decoder %q and embedding %q; known are equal channels, encoders standard and residual, the standard decoder, and embeddings positional and fourier",
			ErrUnknown, o.Class, c.In, c.Out, c.Encoder, c.Decoder, c.Embedding)
	}
	a.Resolution, a.Channels, a.LabelDim, a.AugmentDim = c.Resolution, c.In, c.LabelDim, c.AugmentDim
	a.ModelChannels, a.ChannelMult, a.EmbedMult, a.Blocks = c.Width, c.Mult, c.EmbedMult, c.Blocks
	a.Attention, a.Dropout = c.Attention, c.Dropout
	if a.Architecture == edm.SongUNet {
		a.Fourier, a.NoiseMult = c.Embedding == "fourier", c.NoiseMult
		a.ResidualEncoder, a.ResampleFilter = c.Encoder == "residual", c.Filter
	}
	return a, nil
}
