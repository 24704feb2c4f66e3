package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
)

// The check values of the golden README, K = 37.
func TestFormula(t *testing.T) {
	if u := Uniform("tf_efficientnet_lite0/conv_stem.weight", 37, 864); u[0] != 0.1227826476097107 || u[863] != 0.7216460108757019 {
		t.Errorf("u is %v and %v", u[0], u[863])
	}
	w := &Weights{Net: "tf_efficientnet_lite0", Gain: 1.5, K: 37, Shapes: map[string][]int{
		"conv_stem.weight": {32, 3, 3, 3}, "bn1.running_var": {32},
	}}
	for _, c := range []struct {
		name  string
		index int
		want  float64
	}{
		{"conv_stem.weight", 0, 0.0613913238},
		{"conv_stem.weight", 863, 0.360823005},
		{"bn1.running_var", 5, 1.40144467},
	} {
		tensor, err := w.Tensor(c.name)
		if err != nil {
			t.Fatal(err)
		}
		values, err := checkpoint.Float32s(tensor)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(values[c.index]); math.Abs(got-c.want) > 1e-8 {
			t.Errorf("%s[%d] is %v, want %v", c.name, c.index, got, c.want)
		}
	}
	deit := &Weights{Net: "deit_base_distilled_patch16_224", Gain: 1, K: 37, Shapes: map[string][]int{"blocks.7.mlp.fc1.weight": {3072, 768}}}
	tensor, err := deit.Tensor("blocks.7.mlp.fc1.weight")
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(tensor.Data); got != "8bb1dbd7cd6f7ac6055fb199040f3c7d44fbc7b93a43c5099d6c728028e5c42f" {
		t.Errorf("DeiT's weight has digest %s", got)
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestFormulaImage(t *testing.T) {
	x := checkpoint.FromFloat32s(image("effnet_lite0", 37, 1, 3, 224, 224), 1, 3, 224, 224)
	if got := digest(x.Data); got != "ddd84f86e1978d282855f6631227da8cc33908170f68066901c81e88aa72fc04" {
		t.Errorf("the image has digest %s", got)
	}
}
