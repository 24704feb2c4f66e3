package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/data"
)

// pictures are what a model has made.
type pictures struct {
	info    pagoda.Info
	pixels  []uint8 // (N,C,H,W)
	classes []int64 // (N)
}

// writerFor returns the function that writes n pictures in the form that the
// path's ending asks for.
func writerFor(path string, n int) (func(string, pictures) error, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: --out is empty; it names a .png or .npz file, or a folder", errUsage)
	}
	if parent := filepath.Dir(filepath.Clean(path)); !isFolder(parent) {
		return nil, fmt.Errorf("cannot write %s: there is no folder %s", path, parent)
	}
	switch ending := filepath.Ext(path); {
	case strings.HasSuffix(path, "/"), ending == "", isFolder(path):
		return writeFolder, noneLeft(path, n)
	case ending == ".png":
		return writeSheet, nil
	case ending == ".npz":
		return writeArrays, nil
	}
	return nil, fmt.Errorf("%w: --out %s: the name ends in .png or .npz, or is a folder's", errUsage, path)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// writeSheet writes all pictures on one sheet, a column for each class if they
// come in turn and fit, else about as many columns as rows. Small pictures are
// enlarged to some 64 pixels.
func writeSheet(path string, p pictures) error {
	n, r := len(p.classes), p.info.Resolution
	columns := int(math.Ceil(math.Sqrt(float64(n))))
	if classes := len(p.info.Classes); classes > 1 && classes <= min(n, 20) && p.classes[0] != p.classes[1] {
		columns = classes
	}
	return data.WritePNG(path, data.Grid(p.pixels, n, p.info.Channels, r, r, columns, max(1, 64/r)))
}

// writeArrays writes the archive that the reference evaluators read.
func writeArrays(path string, p pictures) error {
	c, r := p.info.Channels, p.info.Resolution
	last := make([]uint8, len(p.pixels)) // channels go last
	for i, v := range p.pixels {
		image, channel, pixel := i/(c*r*r), i/(r*r)%c, i%(r*r)
		last[(image*r*r+pixel)*c+channel] = v
	}
	return data.WriteNPZ(path, last, len(p.classes), r, r, c, p.classes)
}

// noneLeft refuses a folder with numbered pictures that n new ones would not replace.
func noneLeft(folder string, n int) error {
	items, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write the pictures: %w", err)
	}
	for _, item := range items {
		i, err := strconv.Atoi(strings.TrimSuffix(item.Name(), ".png"))
		if err == nil && i >= n && item.Name() == pictureName(i) {
			return fmt.Errorf("%s has %s of an earlier call, which would stay among the %d new pictures; remove it and its like, or name another folder", folder, item.Name(), n)
		}
	}
	return nil
}

func pictureName(i int) string { return fmt.Sprintf("%06d.png", i) }

// writeFolder writes 000000.png and so on.
func writeFolder(path string, p pictures) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return fmt.Errorf("cannot write the pictures: %w", err)
	}
	r := p.info.Resolution
	for i, picture := range data.ToImages(p.pixels, len(p.classes), p.info.Channels, r, r) {
		if err := data.WritePNG(filepath.Join(path, pictureName(i)), picture); err != nil {
			return err
		}
	}
	return nil
}
