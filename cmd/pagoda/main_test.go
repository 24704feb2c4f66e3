package main

import (
	"regexp"
	"testing"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/torch"
)

// A fault of the program is one line that tells the place, not a stack trace.
func TestFaultIsOneLine(t *testing.T) {
	c := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) (err error) {
		defer torch.Recover(&err)
		var none []int
		return fault(none[len(none)])
	}}
	c.SetArgs(nil)
	err := execute(t.Context(), c)
	if want := regexp.MustCompile(`^a fault of this program, .*index out of range.* \(main_test\.go:\d+\)$`); err == nil || !want.MatchString(err.Error()) {
		t.Error(err)
	}
}

type fault int

func (fault) Error() string { return "not reached" }
