package main

import (
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/eval"
)

// Small data have fewer training images than samples are judged.
func TestScoresSayHowManyRealImages(t *testing.T) {
	protocol := func(n int) eval.Protocol {
		return eval.Protocol{Count: n, Samples: eval.SourceInfo{Model: &eval.ModelInfo{Precision: "float32"}}, Real: &eval.RealInfo{Count: 50}, Network: &eval.NetworkInfo{Name: "eyes"}}
	}
	var out strings.Builder
	printScores(&out, &eval.Scores{Models: []eval.ModelScore{{Model: "generator", Generated: &eval.Result{Protocol: protocol(400)}, Floor: &eval.Result{Protocol: protocol(60)}}}})
	wantText(t, out.String(), "400 samples in float32 and 60 training images, against 50 of the test split; eyes")
}
