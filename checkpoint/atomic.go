package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// temporaryPattern matches the names of files still being written.
const temporaryPattern = ".pagoda-*.tmp"

// WriteFileAtomic writes a file so that path holds either its old content or
// all of the new one, even after a power failure: write fills a temporary file
// in the same folder, which is synced and renamed to path. On an error, be it
// that of write or a full disk, the temporary file is removed and path keeps
// its old content.
func WriteFileAtomic(path string, write func(io.Writer) error) error {
	if err := writeFileAtomic(path, write); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

func writeFileAtomic(path string, write func(io.Writer) error) error {
	folder := filepath.Dir(path)
	temporary := filepath.Join(folder, fmt.Sprintf(".pagoda-%016x.tmp", rand.Uint64()))
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(temporary) // finds nothing once it has been renamed
	if err := errors.Join(fill(file, write), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// fill writes the content and waits until it is on the disk.
func fill(file *os.File, write func(io.Writer) error) error {
	buffer := bufio.NewWriterSize(file, 1<<20)
	if err := write(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes a rename within the folder permanent.
func syncFolder(folder string) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// RemoveTemporary removes from a folder and the folders in it what a killed
// [WriteFileAtomic] left behind. Nobody else may be writing there.
func RemoveTemporary(folder string) error {
	return filepath.WalkDir(folder, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if leftover, _ := filepath.Match(temporaryPattern, item.Name()); leftover && item.Type().IsRegular() {
			return os.Remove(path)
		}
		return nil
	})
}
