package stage_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// Stages 1 and 2 train EDM's networks as they train ADM's, of one class too, with
// dropout and with activations computed again; the generator drops nothing out.
func TestEDMNetworks(t *testing.T) {
	for _, architecture := range []string{config.DDPMpp, config.NCSNpp, config.EDMADM} {
		t.Run(architecture, func(t *testing.T) {
			e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
			c := e.Config
			c.Network.Architecture, c.Network.Groups, c.Network.HeadChannels = architecture, 0, 8
			c.Network.Checkpointing, c.Teacher.Dropout, c.Grow = true, 0.1, nil
			c.Network.AugmentDim = 9
			if architecture == config.NCSNpp {
				e.Data.ClassNames = e.Data.ClassNames[:1]
				clear(e.Data.Labels)
			}
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			live := torch.LiveTensors()
			for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher, stage.Invert, stage.Distill} {
				if err := do(context.Background(), e); err != nil {
					t.Fatal(err)
				}
			}
			if err := stage.SampleGenerator(context.Background(), e, 0); err != nil {
				t.Error(err)
			}
			if n := torch.LiveTensors(); n != live {
				t.Errorf("%d tensors are left behind", n-live)
			}
			f, err := checkpoint.OpenVerified(e.Path(stage.GeneratorFile(8)))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			d, err := network.Describe(f)
			if err != nil {
				t.Fatal(err)
			}
			if a := d.Architecture.EDM; a == nil || a.Dropout != 0 || len(e.Data.ClassNames) > 1 != (a.LabelDim == 20) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// A generator cannot start from a teacher that does not predict what EDM's does.
func TestOtherPreconditioningIsRefused(t *testing.T) {
	e := newEnv(t, filepath.Join(t.TempDir(), "run"), "float32")
	c := e.Config
	c.Network.Architecture, c.Network.Groups, c.Grow = config.DDPMpp, 0, nil
	for _, do := range []func(context.Context, *stage.Env) error{stage.Features, stage.Teacher} {
		if err := do(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(t, e.Path(stage.TeacherFile), func(d *network.Description) { d.Preconditioning = network.Preconditioning{Form: network.VE} })
	if err := stage.Invert(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	if err := stage.Distill(context.Background(), e); err == nil || !strings.Contains(err.Error(), `"ve"`) {
		t.Error(err)
	}
}

// rewrite changes the description in a weights file.
func rewrite(t *testing.T, path string, change func(*network.Description)) {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := network.Describe(f)
	if err != nil {
		t.Fatal(err)
	}
	change(&d)
	metadata, err := d.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]checkpoint.Tensor{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		tensors[name] = x
	}
	if err := checkpoint.Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
}
