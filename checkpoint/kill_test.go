package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// childEnv names the run folder in which the test binary, started again, trains until it is killed.
const childEnv = "PAGODA_TEST_KILL_RUN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := trainForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// trainForEver goes on with the run in dir, printing the images seen after each
// checkpoint.
func trainForEver(dir string) error {
	r, err := OpenRun(dir)
	if errors.Is(err, ErrNoRun) {
		r, err = CreateRun(dir, nil)
	}
	if err != nil {
		return err
	}
	seen := int64(0)
	c, err := r.LatestCheckpoint("teacher")
	if err == nil {
		if c.Note != "" {
			return errors.New(c.Note)
		}
		seen = c.ImagesSeen
		c.Close()
	} else if !errors.Is(err, ErrNoCheckpoint) {
		return err
	}
	if err := r.RewindLog("teacher", seen); err != nil {
		return err
	}
	for {
		seen++
		if err := r.Log("teacher", seen, map[string]int64{"loss": seen}); err != nil {
			return err
		}
		weights := FromFloat32s(make([]float32, 10_000), 100, 100)
		if err := r.SaveCheckpoint("teacher", seen, map[string]Tensor{"w": weights}); err != nil {
			return err
		}
		fmt.Println(seen)
	}
}

// A process killed with SIGKILL at any moment leaves a run that goes on with
// its last checkpoint, and a log without holes or doubles.
func TestKill(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	last := int64(0)
	for round := range 6 {
		child := exec.Command(program)
		child.Env = append(os.Environ(), childEnv+"="+dir)
		child.Stderr = os.Stderr
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(output)
		for i := 0; i <= round && scanner.Scan(); i++ {
			if last, err = strconv.ParseInt(scanner.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		child.Process.Kill()
		child.Wait()

		r, err := OpenRun(dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.LatestCheckpoint("teacher")
		if err != nil {
			t.Fatal(err)
		}
		if c.ImagesSeen < last || c.Note != "" {
			t.Errorf("round %d: checkpoint at %d (%s), but %d was reported as saved", round, c.ImagesSeen, c.Note, last)
		}
		if err := r.RewindLog("teacher", c.ImagesSeen); err != nil {
			t.Fatal(err)
		}
		entries, err := r.ReadLog()
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			if e.ImagesSeen != int64(i+1) {
				t.Fatalf("round %d: log line %d is of %d images", round, i, e.ImagesSeen)
			}
		}
		if int64(len(entries)) != c.ImagesSeen {
			t.Errorf("round %d: %d log lines for %d images", round, len(entries), c.ImagesSeen)
		}
		c.Close()
		r.Close()
	}
}
