package convert

import (
	"encoding/json"

	"testing"

	"github.com/pagoda-go/pagoda/checkpoint/pytorch"
	"github.com/pagoda-go/pagoda/network"
)

// claims are what a file says of itself, without tensors.
type claims struct {
	Shapes  map[string][]int
	Class   string         // of EDM's network at "model"
	Kwargs  map[string]any // of its constructor
	Wrapper string
	Own     *network.Description
}

// Whatever a file says, recognising it ends in a network that it has the tensors
// of, or in an error of this package's.
func FuzzRecognise(f *testing.F) {
	for _, seed := range []string{
		`{"Shapes": {"input_blocks.0.0.weight": [32,1,3,3], "label_emb.weight": [4611686018427387904,0], "time_embed.0.weight": []}}`,
		`{"Shapes": {"model.map_layer0.weight": [], "model.map_label.weight": [2,-3]}, "Class": "SongUNet", "Wrapper": "EDMPrecond",
			"Kwargs": {"img_resolution": 8, "in_channels": 1, "out_channels": 1, "label_dim": 4, "model_channels": 8, "channel_mult": [1,2], "num_blocks": 1}}`,
		`{"Shapes": {"model.map_layer0.weight": [4]}, "Class": "DhariwalUNet", "Wrapper": "VEPrecond",
			"Kwargs": {"img_resolution": 4611686018427387904, "in_channels": 4611686018427387904, "out_channels": 4611686018427387904, "model_channels": 4611686018427387904, "channel_mult": [4611686018427387904]}}`,
		`{"Own": {"stage": "teacher", "architecture": {"input_size": 8, "channels": 1, "model_channels": 8, "encoder_mult": [1], "decoder_mult": [1,1], "res_blocks": 1, "heads": 1, "head_order": "flash", "groups": 4}}}`,
		`{"Own": {"stage": "generator", "architecture": {"kind": "edm", "architecture": "SongUNet", "resolution": 8}}}`,
		`{"Own": {"stage": "teacher", "architecture": {"input_size": 8, "channels": 1, "model_channels": 8, "encoder_mult": [1], "decoder_mult": [1], "res_blocks": 1, "head_channels": 9, "classes": -1, "head_order": "flash", "groups": 4}}}`,
		`{"Own": {"stage": "teacher", "architecture": {"input_size": -8, "channels": 1, "model_channels": 8, "encoder_mult": [1e300], "decoder_mult": [1e300, 1e300], "res_blocks": 1, "heads": 3, "res_blocks_high": -5, "head_order": "flash", "groups": 4}}}`,
		`{"Own": {"stage": "teacher", "architecture": {"kind": "edm", "architecture": "SongUNet", "resolution": 4611686018427387904, "channels": 1, "model_channels": 8, "channel_mult": [1], "embed_mult": 4, "blocks": 1, "noise_mult": 1, "resample_filter": [1, 1]}}}`,
		`{"Shapes": {"input_blocks.0.0.weight": [32,3,3,3], "time_embed.0.weight": [128,32], "out.2.weight": [6,32,3,3], "out.2.bias": [6],
			"input_blocks.1.0.in_layers.2.weight": [32,32,3,3], "input_blocks.1.0.emb_layers.1.weight": [64,128], "output_blocks.0.0.in_layers.2.weight": [32,64,3,3],
			"output_blocks.1.0.in_layers.2.weight": [32,64,3,3], "output_blocks.2.0.conv.weight": [4611686018427387904,64,3,3]}}`,
		`{"Own": {}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c claims
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		file := fileOf(c.Shapes)
		file.own = c.Own
		file.objects = map[string]pytorch.Object{
			"":      {Class: c.Wrapper, Attributes: map[string]any{"sigma_data": 0.5}},
			"model": {Class: c.Class, Kwargs: c.Kwargs},
		}
		for _, o := range []Options{{Preset: "demo"}, {Preset: "cifar10", Stage: network.Teacher}} {
			n, err := file.Recognise(o)
			switch {
			case err == nil && n.Parameters < 0, err == nil && len(c.Shapes) == 0:
				t.Errorf("%d tensors are %s", len(c.Shapes), n)
			case err != nil && (err.Error() == "" || len(err.Error()) > 10_000+10*len(text)):
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
		if n, err := file.infer(file.network(), Options{Resolution: 8, Schedule: "linear", Stage: network.Teacher}); err == nil && n.Parameters < 1 {
			t.Errorf("%d tensors are %s", len(c.Shapes), n)
		}
	})
}
