package metrics

import (
	"math"
	"testing"
)

func TestInceptionScore(t *testing.T) {
	const classes = 5
	sure, unsure := Features{10, classes, make([]float32, 50)}, Features{10, classes, make([]float32, 50)}
	for i := range sure.N {
		sure.Values[i*classes+i%classes] = 1000 // also: no overflow, no 0·log 0
	}
	mean, deviation, err := InceptionScore(sure, classes)
	fatal(t, err)
	about(t, "score of sure and varied images", mean, classes, 1e-12)
	about(t, "deviation", deviation, 0, 1e-12)
	mean, _, err = InceptionScore(unsure, 3)
	fatal(t, err)
	about(t, "score of unsure images", mean, 1, 1e-12)
	mean, deviation, err = InceptionScore(sure, 6) // splits of 6 and 4 images
	fatal(t, err)
	first := math.Exp(-(4*math.Log(1./6) + 2*math.Log(2./6)) / 6)
	about(t, "mean over splits", mean, (first+4)/2, 1e-12)
	about(t, "deviation over splits", deviation, (first-4)/2, 1e-12)
	_, _, err = InceptionScore(sure, 0)
	wantError(t, err, "splits of 0 images")
	sure.Values[12] = float32(math.NaN())
	_, _, err = InceptionScore(sure, 5)
	wantError(t, err, "logits contain NaN in row 2")
}
