package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// The ways a stage can have no checkpoint to go on from.
var (
	// ErrNoCheckpoint: the stage has not saved one yet.
	ErrNoCheckpoint = errors.New("the stage has no checkpoint")
	// ErrAllDamaged: the stage has checkpoints and none of them can be read.
	ErrAllDamaged = errors.New("every checkpoint of the stage is damaged")
	// ErrStage: the stage's name cannot be part of a file name.
	ErrStage = errors.New("a stage's name is made of letters, digits, '-' and '_'")
)

// Checkpoint is a verified checkpoint, open for reading.
type Checkpoint struct {
	*File
	Path       string
	ImagesSeen int64
	Note       string // what was wrong with a newer one that had to be passed over, else empty
}

// kept is the number of checkpoints a stage keeps: the newest, and one to fall back on.
const kept = 2

var (
	stageName      = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	checkpointName = regexp.MustCompile(`^(.+)-([0-9]{12,18})\.safetensors$`)
)

// SaveCheckpoint writes the state of a stage after imagesSeen images, not before
// the log is on disk, and then removes the stage's checkpoints but for this one
// and the one before it.
func (r *Run) SaveCheckpoint(stage string, imagesSeen int64, tensors map[string]Tensor) error {
	if !stageName.MatchString(stage) {
		return fmt.Errorf("%w: %q", ErrStage, stage)
	}
	if err := r.syncLog(); err != nil {
		return err
	}
	if err := Write(r.checkpointPath(stage, imagesSeen), tensors, nil); err != nil {
		return err
	}
	saved, err := r.checkpoints(stage)
	if err != nil {
		return err
	}
	// Later ones are damaged ones that this run passed over and went on before.
	current := slices.Index(saved, imagesSeen)
	for i, seen := range saved {
		if i > current || i <= current-kept {
			if err := os.Remove(r.checkpointPath(stage, seen)); err != nil {
				return fmt.Errorf("cannot remove an old checkpoint: %w", err)
			}
		}
	}
	return nil
}

// LatestCheckpoint opens the newest checkpoint of a stage whose content is what
// was saved; the caller closes it. It returns [ErrNoCheckpoint] before the first
// one, and [ErrAllDamaged].
func (r *Run) LatestCheckpoint(stage string) (*Checkpoint, error) {
	saved, err := r.checkpoints(stage)
	if err != nil {
		return nil, err
	}
	if len(saved) == 0 {
		return nil, fmt.Errorf("%w: %s in %s", ErrNoCheckpoint, stage, r.Dir)
	}
	var damage error
	for _, seen := range slices.Backward(saved) {
		path := r.checkpointPath(stage, seen)
		file, err := OpenVerified(path)
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			return nil, err // says nothing about the file's content
		}
		if err != nil {
			if damage != nil {
				err = fmt.Errorf("%w; %w", damage, err)
			}
			damage = err
			continue
		}
		checkpoint := &Checkpoint{File: file, Path: path, ImagesSeen: seen}
		if damage != nil {
			checkpoint.Note = fmt.Sprintf("going on from the checkpoint at %d images: %v", seen, damage)
		}
		return checkpoint, nil
	}
	return nil, fmt.Errorf("%w: %s in %s; remove them to start the stage again: %w", ErrAllDamaged, stage, r.Dir, damage)
}

// checkpoints returns the images seen of the stage's checkpoints, rising.
func (r *Run) checkpoints(stage string) ([]int64, error) {
	items, err := os.ReadDir(filepath.Join(r.Dir, checkpointsName))
	if err != nil {
		return nil, fmt.Errorf("cannot list the checkpoints: %w", err)
	}
	var saved []int64
	for _, item := range items {
		parts := checkpointName.FindStringSubmatch(item.Name())
		if parts == nil || parts[1] != stage {
			continue
		}
		seen, _ := strconv.ParseInt(parts[2], 10, 64) // 18 digits fit
		saved = append(saved, seen)
	}
	slices.Sort(saved)
	return saved, nil
}

func (r *Run) checkpointPath(stage string, imagesSeen int64) string {
	return filepath.Join(r.Dir, checkpointsName, fmt.Sprintf("%s-%012d.safetensors", stage, imagesSeen))
}
