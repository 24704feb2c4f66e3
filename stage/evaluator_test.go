package stage

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/internal/testdevice"
	"github.com/pagoda-go/pagoda/metrics"
	"github.com/pagoda-go/pagoda/torch"
)

// The evaluator that ships with the program is good enough to judge by, and says
// the truth about itself.
func TestShippedEvaluator(t *testing.T) {
	if err := torch.Load(); err != nil {
		t.Skip(err)
	}
	c, err := config.Load("demo")
	if err != nil {
		t.Fatal(err)
	}
	e := &Env{Config: c, Device: testdevice.Device()}
	if e.Data, err = Images(c.Data, data.Test); errors.Is(err, data.ErrNotInstalled) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	root := e.scope()
	defer root.Close()
	ev, err := e.OpenEvaluator(root)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := ev.examine(context.Background(), root, e.Data)
	if err != nil {
		t.Fatal(err)
	}
	accuracy, err := metrics.Accuracy(answers.Logits, answers.Labels)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy < 0.92 || math.Abs(accuracy-ev.Accuracy) > 0.001 {
		t.Errorf("it is right on %.2f %%, claims %.2f %%, and should be on 92 %%", 100*accuracy, 100*ev.Accuracy)
	}
}
