package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/data"
)

// pictures are some of what a model makes.
type pictures struct {
	pixels  []uint8 // (n,C,H,W)
	classes []int64 // (n)
}

// maker makes pictures, a part of them at a time, and has keep take every part.
type maker func(keep func(pictures) error) error

// writer writes the n pictures that the maker makes.
type writer func(path string, i pagoda.Info, n int, produce maker) error

// writerFor returns the writer of the form that the path's ending asks for.
func writerFor(path string, n int) (writer, error) {
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
func writeSheet(path string, i pagoda.Info, n int, produce maker) error {
	var all pictures
	if err := produce(func(p pictures) error {
		all.pixels, all.classes = append(all.pixels, p.pixels...), append(all.classes, p.classes...)
		return nil
	}); err != nil {
		return err
	}
	columns := int(math.Ceil(math.Sqrt(float64(n))))
	if classes := len(i.Classes); classes > 1 && classes <= min(n, 20) && all.classes[0] != all.classes[1] {
		columns = classes
	}
	return data.WritePNG(path, data.Grid(all.pixels, n, i.Channels, i.Resolution, i.Resolution, columns, max(1, 64/i.Resolution)))
}

// writeArrays writes the archive that the reference evaluators read.
func writeArrays(path string, i pagoda.Info, n int, produce maker) error {
	classes, number := make([]int64, n), 0
	images := data.Stream(func(w io.Writer) error {
		return produce(func(p pictures) error {
			number += copy(classes[number:], p.classes)
			_, err := w.Write(channelsLast(p.pixels, i.Channels, i.Resolution*i.Resolution))
			return err
		})
	})
	return data.WriteNPZ(path, images, n, i.Resolution, i.Resolution, i.Channels, classes)
}

// channelsLast turns (n,C,H,W) into (n,H,W,C).
func channelsLast(pixels []uint8, channels, plane int) []uint8 {
	last := make([]uint8, len(pixels))
	for i, v := range pixels {
		image, channel, pixel := i/(channels*plane), i/plane%channels, i%plane
		last[(image*plane+pixel)*channels+channel] = v
	}
	return last
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

// writeFolder writes 000000.png and so on, a part as soon as it has been made.
func writeFolder(path string, i pagoda.Info, _ int, produce maker) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return fmt.Errorf("cannot write the pictures: %w", err)
	}
	number := 0
	return produce(func(p pictures) error {
		for _, picture := range data.ToImages(p.pixels, len(p.classes), i.Channels, i.Resolution, i.Resolution) {
			if err := data.WritePNG(filepath.Join(path, pictureName(number)), picture); err != nil {
				return err
			}
			number++
		}
		return nil
	})
}
