package pytorch

import (
	"math"
	"reflect"
	"slices"
	"testing"
)

// edm.pkl has two networks of a toy class whose modules and loss are saved by
// torch_utils.persistence, one of them in half precision.
func TestPersistent(t *testing.T) {
	f := open(t, "edm.pkl")
	if f.Format() != Pickle {
		t.Errorf("format %q", f.Format())
	}
	want := []string{
		"ema.model.enc.8x8_conv.bias", "ema.model.enc.8x8_conv.weight",
		"ema.model.enc.8x8_up.bias", "ema.model.enc.8x8_up.resample_filter", "ema.model.enc.8x8_up.weight",
		"half.model.enc.8x8_conv.bias", "half.model.enc.8x8_conv.weight",
		"half.model.enc.8x8_up.bias", "half.model.enc.8x8_up.resample_filter", "half.model.enc.8x8_up.weight",
	}
	if !slices.Equal(f.Names(), want) {
		t.Errorf("names %q, want %q", f.Names(), want)
	}
	for _, network := range []string{"ema", "half"} {
		compare(t, f, map[string]expected{
			network + ".model.enc.8x8_conv.weight":        {[]int{3, 2, 1, 1}, six},
			network + ".model.enc.8x8_conv.bias":          {[]int{3}, []float32{0.5, 1.5, 2.5}},
			network + ".model.enc.8x8_up.resample_filter": {[]int{1, 1, 2, 2}, []float32{0.25, 0.25, 0.25, 0.25}},
		})
	}
	objects := f.Objects()
	wantObject := Object{
		Class:  "Precond",
		Args:   []any{8},
		Kwargs: map[string]any{"model_type": "UNet", "channel_mult": []any{1, 2, 3}, "label_dim": 0, "augment": nil},
		Attributes: map[string]any{"img_resolution": 8, "sigma_data": 0.5, "sigma_min": 0, "sigma_max": math.Inf(1),
			"training": true, "use_fp16": false},
	}
	if got := objects["ema"]; !reflect.DeepEqual(got, wantObject) {
		t.Errorf("ema is %+v, want %+v", got, wantObject)
	}
	for path, class := range map[string]string{"ema.model": "UNet", "half.model.enc.8x8_up": "Conv2d", "loss_fn": "Loss"} {
		if objects[path].Class != class {
			t.Errorf("%s is %+v, want class %s", path, objects[path], class)
		}
	}
	if got := objects["loss_fn"].Attributes["P_mean"]; got != -1.2 {
		t.Errorf("P_mean %v", got)
	}
}

// EDM's training state is the same objects in a zip file.
func TestPersistentInZip(t *testing.T) {
	f := open(t, "edm_training_state.pt")
	if f.Objects()["net"].Class != "Precond" {
		t.Errorf("objects %+v", f.Objects())
	}
	compare(t, f, map[string]expected{"net.model.enc.8x8_conv.weight": {[]int{3, 2, 1, 1}, six}})
}
