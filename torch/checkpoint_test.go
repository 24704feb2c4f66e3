package torch

import "testing"

// Gradients through a checkpoint are those of the plain computation, and nothing stays behind.
func TestCheckpointGradients(t *testing.T) {
	root := scope(t)
	s := root.WithGrad()
	x, w := normal(s, 1, 2, 3, 8, 8), normal(s, 2, 3, 3, 3, 3)
	x.RequireGrad(true)
	w.RequireGrad(true)
	calls := 0
	block := func(s *Scope, x []*Tensor) *Tensor {
		calls++
		return s.Local(func(s *Scope) *Tensor {
			return s.SiLU(s.Dropout(s.Conv2d(x[0], w, nil, ConvOptions{Padding: 1}), 0.3))
		})
	}
	once := s.WithDropout(7)
	plain := block(once, []*Tensor{block(once, []*Tensor{x})})
	want := s.Grad(s.Sum(s.Square(plain)), []*Tensor{x, w})
	calls = 0
	params := []*Tensor{w}
	d := s.WithDropout(7)
	y := d.Checkpoint([]*Tensor{d.Checkpoint([]*Tensor{x}, params, block)}, params, block)
	if diff := distance(y, plain); diff != 0 {
		t.Errorf("the output differs by %g", diff)
	}
	got := s.Grad(s.Sum(s.Square(y)), []*Tensor{x, w})
	for i := range want {
		if d := distance(got[i], want[i]); d > 1e-6 {
			t.Errorf("gradient %d differs by %g", i, d)
		}
	}
	if calls != 4 {
		t.Errorf("the blocks ran %d times, want once each and once more", calls)
	}
	d.Close()
	once.Close()
	s.Close()
	checkpoints.Range(func(_, _ any) bool {
		t.Error("a recorded graph outlived its tensors")
		return false
	})
}

// A graph that is dropped without gradients leaves nothing either; a failure inside comes out as an error.
func TestCheckpointDroppedAndFailing(t *testing.T) {
	root := scope(t)
	s := root.WithGrad()
	x := normal(s, 1, 4)
	x.RequireGrad(true)
	s.Checkpoint([]*Tensor{x}, nil, func(s *Scope, x []*Tensor) *Tensor { return s.Square(x[0]) })
	s.Close()
	checkpoints.Range(func(_, _ any) bool {
		t.Error("a dropped graph is remembered")
		return false
	})
	err := func() (err error) {
		defer Recover(&err)
		s := root.WithGrad()
		defer s.Close()
		x := normal(s, 1, 4)
		x.RequireGrad(true)
		again := false
		y := s.Checkpoint([]*Tensor{x}, nil, func(s *Scope, x []*Tensor) *Tensor {
			if again {
				return s.Add(x[0], s.Zeros(3))
			}
			again = true
			return s.Square(x[0])
		})
		s.Grad(s.Sum(y), []*Tensor{x})
		return nil
	}()
	if err == nil {
		t.Error("a failing second run passed")
	}
}

func TestDropout(t *testing.T) {
	s := scope(t)
	x := s.Full(1, 100, 100)
	if s.Dropout(x, 0.25) != x {
		t.Error("dropout without training")
	}
	one, two := s.WithDropout(3), s.WithDropout(3)
	defer one.Close()
	defer two.Close()
	a, b, other := one.Dropout(x, 0.25), two.Dropout(x, 0.25), two.Dropout(x, 0.25)
	if distance(a, b) != 0 || distance(a, other) == 0 {
		t.Error("what is dropped does not follow the seed and the calls")
	}
	zeros := 0
	for _, v := range a.Float32s() {
		if v == 0 {
			zeros++
		} else if v != 1/float32(0.75) {
			t.Fatalf("a kept element became %v", v)
		}
	}
	if zeros < 2350 || zeros > 2650 {
		t.Errorf("%d of 10000 dropped, want about 2500", zeros)
	}
}

func TestScript(t *testing.T) {
	s := scope(t)
	net, err := LoadScript("testdata/pair.pt", device(t))
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	x := s.Full(1, 1, 1, 4, 4)
	plain, doubled := net.Forward(s, x, nil), net.Forward(s, x, map[string]bool{"double": true})
	if len(plain) != 2 || len(doubled) != 2 {
		t.Fatalf("%d answers, want 2", len(plain))
	}
	if v := plain[0].Float32s(); v[5] != 5.5 || v[0] != 3 { // nine or four halves, and the bias
		t.Errorf("got %v", v)
	}
	if d := distance(doubled[1], s.Scale(plain[1], 2)); d != 0 {
		t.Errorf("the switch did not arrive: %g", d)
	}
	g := s.WithGrad()
	defer g.Close()
	if net.Forward(g, x, nil)[0].RequiresGrad() {
		t.Error("the module's parameters build a graph")
	}
	x.RequireGrad(true)
	if d := g.Grad(g.Sum(net.Forward(g, x, nil)[0]), []*Tensor{x})[0].Float32s(); d[5] != 9 { // nine halves in both maps
		t.Errorf("the gradient is %v", d)
	}
	if _, err := LoadScript("testdata/none.pt", CPU); err == nil {
		t.Error("a missing file was opened")
	}
	if _, err := LoadScript("script.go", CPU); err == nil {
		t.Error("a Go file was taken for a module")
	}
}
