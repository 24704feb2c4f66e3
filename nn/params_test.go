package nn

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/torch"
)

func twoLayers(s *torch.Scope, seed uint64, reverse bool) *Params {
	p := NewParams(s, seed)
	make := []func(){
		func() { NewConv2d(p.Root().At("a", 0), 3, 4, 3, torch.ConvOptions{}) },
		func() { NewLinear(p.Root().At("b"), 5, 6) },
	}
	if reverse {
		make[0], make[1] = make[1], make[0]
	}
	for _, f := range make {
		f()
	}
	return p
}

// An initial value depends on the seed and the name, not on the order of construction.
func TestInitialValuesFollowNames(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	a, b, other := twoLayers(s, 1, false), twoLayers(s, 1, true), twoLayers(s, 2, false)
	for _, name := range []string{"a.0.weight", "a.0.bias", "b.weight"} {
		x, y, z := a.Tensor(name).Float32s(), b.Tensor(name).Float32s(), other.Tensor(name).Float32s()
		same := true
		for i := range x {
			if x[i] != y[i] {
				t.Fatalf("%s depends on the order of construction", name)
			}
			same = same && x[i] == z[i]
		}
		if same {
			t.Errorf("%s does not depend on the seed", name)
		}
	}
	if n := a.Count(); n != 4*3*9+4+6*5+6 {
		t.Errorf("%d parameters", n)
	}
}

func TestTrainChoosesByName(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	p := twoLayers(s, 1, false)
	p.Train(func(name string) bool { return strings.HasPrefix(name, "b.") })
	if n := len(p.Trainable()); n != 2 {
		t.Errorf("%d trainable parameters, want 2", n)
	}
	p.Freeze()
	if n := len(p.Trainable()); n != 0 {
		t.Errorf("%d trainable parameters after freezing", n)
	}
}

// Weights come back as they were saved; those of another network are refused with names, not a wall of them.
func TestSaveAndLoad(t *testing.T) {
	s := torch.NewScope(testdevice.Device())
	defer s.Close()
	saved := twoLayers(s, 1, false)
	state := map[string]checkpoint.Tensor{}
	saved.Save(state, "model.")
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := checkpoint.Write(path, state, nil); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loaded := twoLayers(s, 2, false)
	if err := loaded.Load(f, "model."); err != nil {
		t.Fatal(err)
	}
	want, got := saved.Tensor("a.0.weight").Float32s(), loaded.Tensor("a.0.weight").Float32s()
	for i := range want {
		if want[i] != got[i] {
			t.Fatal("the weights changed on the way")
		}
	}
	different := NewParams(s, 1)
	NewLinear(different.Root().At("b"), 7, 6)
	for i := range 9 {
		NewLinear(different.Root().At("c", i), 1, 1)
	}
	err = different.Load(f, "model.")
	if err == nil || !strings.Contains(err.Error(), "b.weight is [6 5], not [6 7]") || !strings.Contains(err.Error(), "and 13 more") {
		t.Errorf("%v", err)
	}
}
