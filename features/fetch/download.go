package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// ErrChecksum is the error of a file that is not the published one.
var ErrChecksum = errors.New("the checksum is not the published one")

// partial is the ending of files that are not complete.
const partial = ".part"

// Progress is told of bytes on the disk; total is -1 when it is not known.
type Progress func(done, total int64)

// Fetch downloads the file into the folder, unless it is there, and returns its
// path and SHA-256. A download that was cut off goes on where it stopped, when
// there is a checksum to prove the result; without one it begins again. A file
// with another checksum is [ErrChecksum] and is not kept. When the source cannot
// be reached the error says how to install the file by hand. Progress may be nil.
func (f File) Fetch(ctx context.Context, folder string, progress Progress) (path, sum string, err error) {
	path, err = f.Find(folder)
	if err == nil {
		if filepath.Base(path) != f.File {
			sum, err = SHA256(path) // of another form of the weights none is published
		} else {
			sum, err = f.verify(path)
		}
		return path, sum, err
	}
	if !errors.Is(err, ErrMissing) {
		return "", "", err
	}
	path = filepath.Join(folder, f.File)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return "", "", fmt.Errorf("the folder for weights: %w", err)
	}
	if err := f.download(ctx, path+partial, progress); err != nil {
		return "", "", fmt.Errorf("cannot download %s (%w): %s", f.File, err, f.advice(folder))
	}
	if sum, err = f.verify(path + partial); err == nil {
		err = os.Rename(path+partial, path)
	} else if errors.Is(err, ErrChecksum) {
		err = errors.Join(err, os.Remove(path+partial))
	}
	if err != nil {
		return "", "", err
	}
	return path, sum, nil
}

// SHA256 is the checksum of a file of weights, in hexadecimal digits.
func SHA256(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the weights: %w", err)
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return "", fmt.Errorf("the weights in %s: %w", path, err)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// verify returns the SHA-256 of a file, which must be the published one.
func (f File) verify(path string) (string, error) {
	sum, err := SHA256(path)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(sum, f.SHA256) {
		return "", fmt.Errorf("%w: %s has SHA-256 %s, published is %s", ErrChecksum, path, sum, f.SHA256)
	}
	return sum, nil
}

// download brings the file at path to its end.
func (f File) download(ctx context.Context, path string, progress Progress) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	done, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if f.SHA256 == "" {
		done = 0
	}
	response, err := f.request(ctx, done)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusRequestedRangeNotSatisfiable { // nothing is left, or the file is not what it was
		return nil
	}
	if response.StatusCode != http.StatusPartialContent {
		done = 0
	}
	if err := errors.Join(file.Truncate(done), seek(file, done)); err != nil {
		return err
	}
	total := int64(-1)
	if response.ContentLength >= 0 {
		total = done + response.ContentLength
	}
	meter := &meter{file, done, total, progress}
	if _, err := io.Copy(meter, response.Body); err != nil {
		return err
	}
	return file.Sync()
}

func seek(file *os.File, to int64) error {
	_, err := file.Seek(to, io.SeekStart)
	return err
}

// request asks for the bytes of the file from the given one on.
func (f File) request(ctx context.Context, from int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	ok := response.StatusCode == http.StatusOK
	if from > 0 {
		ok = ok || response.StatusCode == http.StatusRequestedRangeNotSatisfiable ||
			response.StatusCode == http.StatusPartialContent && strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from))
	}
	if !ok {
		return nil, errors.Join(fmt.Errorf("the server answers %s", response.Status), response.Body.Close())
	}
	return response, nil
}

// meter writes and reports.
type meter struct {
	io.Writer
	done, total int64
	progress    Progress
}

func (m *meter) Write(data []byte) (int, error) {
	n, err := m.Writer.Write(data)
	m.done += int64(n)
	if m.progress != nil {
		m.progress(m.done, m.total)
	}
	return n, err
}
