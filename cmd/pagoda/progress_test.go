package main

import (
	"strings"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, c := range []struct {
		done, left int64
		took       time.Duration
		want       string
	}{
		{10, 20, time.Minute, "6.0 s/img     2m0s left"},
		{1, 59, 10 * time.Hour, "590h left"},
		{1, 1e15, time.Hour, "1000000000000000h left"},
		{10, -5, time.Minute, "6.0 s/img     1m0s"},
		{-1, 20, time.Minute, ""},
	} {
		if got := strings.TrimSpace(pace(c.done, c.left, c.took)); !strings.HasSuffix(got, c.want) || strings.Contains(got, "-") || c.want == "" && got != "" {
			t.Errorf("%d done, %d left after %v: %q, want %q", c.done, c.left, c.took, got, c.want)
		}
	}
}
