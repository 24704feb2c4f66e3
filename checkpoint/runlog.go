package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const logName = "log.jsonl"

// LogEntry is one line of a run's log.
type LogEntry struct {
	Stage      string          `json:"stage"`
	ImagesSeen int64           `json:"images_seen"`
	Values     json.RawMessage `json:"values"` // a JSON object
}

// Log appends a line to the run's log. Values is a map or a struct; a NaN or an
// infinity among its numbers is an error, since JSON has none.
func (r *Run) Log(stage string, imagesSeen int64, values any) error {
	encoded, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("cannot log %s at %d images: %w", stage, imagesSeen, err)
	}
	line, err := json.Marshal(LogEntry{stage, imagesSeen, encoded})
	if err != nil {
		return fmt.Errorf("cannot log %s at %d images: %w", stage, imagesSeen, err)
	}
	file, err := os.OpenFile(r.logPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("cannot log: %w", err)
	}
	_, err = file.Write(append(line, '\n')) // one write: a kill tears at most this line
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("cannot log: %w", err)
	}
	return nil
}

// syncLog waits until the log is on disk.
func (r *Run) syncLog() error {
	file, err := os.Open(r.logPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot log: %w", err)
	}
	return nil
}

// ReadLog returns the run's log in the order written; no log yet is no lines.
// Lines that are not whole are left out.
func (r *Run) ReadLog() ([]LogEntry, error) {
	var entries []LogEntry
	_, err := r.filterLog(func(e LogEntry) bool {
		entries = append(entries, e)
		return true
	})
	return entries, err
}

// RewindLog drops the lines of a stage with more than imagesSeen images, atomically:
// a stage that goes on from a checkpoint will write them again, and one that
// starts over (imagesSeen -1) all of them.
func (r *Run) RewindLog(stage string, imagesSeen int64) error {
	return r.rewriteLog(func(e LogEntry) bool {
		return e.Stage != stage || e.ImagesSeen <= imagesSeen
	})
}

// repairLog drops the line that a killed process did not finish.
func (r *Run) repairLog() error {
	return r.rewriteLog(func(LogEntry) bool { return true })
}

// rewriteLog drops all lines that are not to be kept or not whole.
func (r *Run) rewriteLog(keep func(LogEntry) bool) error {
	kept, err := r.filterLog(keep)
	if err != nil {
		return err
	}
	info, err := os.Stat(r.logPath())
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == int64(len(kept)) {
		return nil
	}
	return WriteFileAtomic(r.logPath(), func(w io.Writer) error {
		_, err := w.Write(kept)
		return err
	})
}

// filterLog returns the whole lines for which keep holds.
func (r *Run) filterLog(keep func(LogEntry) bool) (kept []byte, err error) {
	content, err := os.ReadFile(r.logPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the run's log: %w", err)
	}
	for line := range bytes.Lines(content) {
		var e LogEntry
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &e) == nil && keep(e) {
			kept = append(kept, line...)
		}
	}
	return kept, nil
}

func (r *Run) logPath() string { return filepath.Join(r.Dir, logName) }
