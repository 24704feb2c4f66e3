package data

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNotInstalled: the files of a known data set are not where they are expected.
var ErrNotInstalled = errors.New("the data set is not installed")

// Split names a part of a data set.
type Split string

// The part to train on, and the part to measure against.
const (
	Train Split = "train"
	Test  Split = "test"
)

// fashionFolder is where Debian's package dataset-fashion-mnist puts the files.
const fashionFolder = "/usr/share/datasets/fashion-mnist"

// fashionPrefix begins the names of a split's files.
var fashionPrefix = map[Split]string{Train: "train", Test: "t10k"}

// FashionMNIST reads a split of Fashion-MNIST (Xiao et al. 2017, arXiv
// 1708.07747), 60,000 or 10,000 images (N,1,28,28) of ten kinds of clothing,
// from dir, or with dir "" from where Debian installs it. It returns [ErrNotInstalled] when the
// files are missing, else the errors of [OpenIDX].
func FashionMNIST(dir string, split Split) (*Dataset, error) {
	if dir == "" {
		dir = fashionFolder
	}
	images, err := fashionFile(dir, fashionPrefix[split]+"-images-idx3-ubyte")
	if err != nil {
		return nil, err
	}
	labels, err := fashionFile(dir, fashionPrefix[split]+"-labels-idx1-ubyte")
	if err != nil {
		return nil, err
	}
	d, err := OpenIDX(images, labels, FashionMNISTClasses())
	if err != nil {
		return nil, err
	}
	d.Name = "fashion-mnist-" + string(split)
	return d, nil
}

// FashionMNISTClasses are the names of Fashion-MNIST's classes in their order.
func FashionMNISTClasses() []string {
	return []string{
		"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
		"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
	}
}

// fashionFile returns the path of a file that may be compressed.
func fashionFile(dir, name string) (string, error) {
	for _, path := range []string{filepath.Join(dir, name+".gz"), filepath.Join(dir, name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s has no %s.gz; run apt-get install dataset-fashion-mnist, or name the folder that holds it", ErrNotInstalled, dir, name)
}
