// Command pagoda trains one-step image generators and samples from them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pagoda-go/pagoda/torch"
)

// errUsage marks errors of the command line itself.
var errUsage = errors.New("usage")

// OpenMP keeps a pool of threads for every thread that computes, and lets them
// sleep between operators once there are more than processors. One thread is
// to do all the computing.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	torch.Lean()
	if err := execute(ctx, root()); err != nil {
		fmt.Fprintln(os.Stderr, "pagoda:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// execute runs a command line. A fault of the program becomes an error too, of one line.
func execute(ctx context.Context, c *cobra.Command) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("a fault of this program, please report it: %v (%s)", fault, faultPlace())
		}
	}()
	return c.ExecuteContext(ctx)
}

// faultPlace is the line of this program that panicked; called while recovering.
func faultPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicked := false
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, "runtime."):
			panicked = true
		case panicked && !strings.HasSuffix(frame.Function, "torch.Recover"):
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return "at an unknown place"
		}
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "pagoda",
		Short:         "One-step image generators, trained from diffusion models on downsampled images",
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return fmt.Errorf("%w: unknown command %q; did you mean %q?", errUsage, args[0], near[0])
			}
			return fmt.Errorf("%w: unknown command %q; see pagoda --help", errUsage, args[0])
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
	})
	c.AddCommand(demoCommand())
	c.AddCommand(stageCommands()...)
	c.AddCommand(prepareCommand(), sampleCommand(), evalCommand(), infoCommand(), importCommand(), exportCommand(), planCommand(), doctorCommand(), versionCommand())
	return c
}

// usage makes an argument check's failure a usage error.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return fmt.Errorf("%w: %w; see %s --help", errUsage, err, c.CommandPath())
		}
		return nil
	}
}
