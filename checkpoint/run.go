package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// The ways a run folder can refuse to open.
var (
	// ErrRunExists: the folder already holds a run.
	ErrRunExists = errors.New("the folder already holds a run")
	// ErrNoRun: the folder holds no run.
	ErrNoRun = errors.New("the folder holds no run")
	// ErrLocked: another process is working in the folder.
	ErrLocked = errors.New("another process is training in this folder")
)

const (
	configName      = "config.toml"
	lockName        = "lock"
	checkpointsName = "checkpoints"
)

// Run is a training run's folder, locked for this process:
//
//	config.toml                                   as given to CreateRun
//	log.jsonl                                     one LogEntry a line
//	checkpoints/<stage>-<images seen>.safetensors the newest two of each stage
//	lock                                          held while the run is open
//
// A process killed at any moment leaves a folder that [OpenRun] opens and that
// goes on from the newest checkpoint.
type Run struct {
	Dir  string
	lock *flock.Flock
}

// CreateRun starts a run in dir, which is made when missing, and keeps config
// there. It returns [ErrRunExists] when dir has a config.toml already, and
// [ErrLocked].
func CreateRun(dir string, config []byte) (*Run, error) {
	if err := os.MkdirAll(filepath.Join(dir, checkpointsName), 0o777); err != nil {
		return nil, fmt.Errorf("cannot make the run folder: %w", err)
	}
	r, err := lockRun(dir)
	if err != nil {
		return nil, err
	}
	if err := r.begin(config); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Run) begin(config []byte) error {
	path := filepath.Join(r.Dir, configName)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s: %w; resume it or choose another folder", r.Dir, ErrRunExists)
	}
	return WriteFileAtomic(path, func(w io.Writer) error {
		_, err := w.Write(config)
		return err
	})
}

// OpenRun opens the run in dir to go on with it: one of this program, or a folder
// with a config.toml and the files of another run. Unfinished files of a process
// that was killed are removed, and so is a log line it did not finish. It
// returns [ErrNoRun] when dir has no config.toml, and [ErrLocked].
func OpenRun(dir string) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, configName)); err != nil {
		return nil, fmt.Errorf("%s: %w; start one there or name another folder: %w", dir, ErrNoRun, err)
	}
	r, err := lockRun(dir)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, checkpointsName), 0o777), RemoveTemporary(dir), r.repairLog()); err != nil {
		r.Close()
		return nil, fmt.Errorf("cannot tidy the run folder: %w", err)
	}
	return r, nil
}

// lockRun takes the folder's lock, which the system drops when the process ends,
// however it ends.
func lockRun(dir string) (*Run, error) {
	path := filepath.Join(dir, lockName)
	lock := flock.New(path)
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the run folder: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%s: %w (it holds %s); wait for it, stop it, or choose another folder", dir, ErrLocked, path)
	}
	return &Run{Dir: dir, lock: lock}, nil
}

// Config returns the content of the run's config.toml.
func (r *Run) Config() ([]byte, error) {
	config, err := os.ReadFile(filepath.Join(r.Dir, configName))
	if err != nil {
		return nil, fmt.Errorf("cannot read the run's configuration: %w", err)
	}
	return config, nil
}

// Close lets other processes open the run.
func (r *Run) Close() error { return r.lock.Close() }
