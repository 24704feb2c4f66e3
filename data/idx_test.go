package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idx puts an IDX file together.
func idx(magic uint32, elements []byte, sides ...uint32) []byte {
	file := binary.BigEndian.AppendUint32(nil, magic)
	for _, side := range sides {
		file = binary.BigEndian.AppendUint32(file, side)
	}
	return append(file, elements...)
}

func compressed(content []byte) []byte {
	var file bytes.Buffer
	w := gzip.NewWriter(&file)
	w.Write(content)
	w.Close()
	return file.Bytes()
}

const (
	imagesMagic = 0x803
	labelsMagic = 0x801
)

var (
	goodImages = idx(imagesMagic, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 2, 2, 3)
	goodLabels = idx(labelsMagic, []byte{2, 0}, 2)
)

// openIDX writes the two files and opens them.
func openIDX(t *testing.T, images, labels []byte, classNames []string) (*Dataset, error) {
	t.Helper()
	folder := t.TempDir()
	imagesPath, labelsPath := filepath.Join(folder, "images"), filepath.Join(folder, "labels")
	for path, content := range map[string][]byte{imagesPath: images, labelsPath: labels} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenIDX(imagesPath, labelsPath, classNames)
	if err != nil && !strings.Contains(err.Error(), folder) {
		t.Errorf("the error names no file: %v", err)
	}
	return d, err
}

func TestOpenIDX(t *testing.T) {
	for name, files := range map[string][2][]byte{
		"plain":      {goodImages, goodLabels},
		"compressed": {compressed(goodImages), compressed(goodLabels)},
	} {
		d, err := openIDX(t, files[0], files[1], nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.Len() != 2 || d.C != 1 || d.H != 2 || d.W != 3 || d.Name != "images" {
			t.Errorf("%s: %q, %d images %d×%d×%d", name, d.Name, d.Len(), d.C, d.H, d.W)
		}
		if !slices.Equal(d.Image(1), []uint8{7, 8, 9, 10, 11, 12}) || !slices.Equal(d.Labels, []int32{2, 0}) {
			t.Errorf("%s: image %v, labels %v", name, d.Image(1), d.Labels)
		}
		if !slices.Equal(d.ClassNames, []string{"0", "1", "2"}) {
			t.Errorf("%s: classes %q", name, d.ClassNames)
		}
	}
}

func TestOpenIDXRefuses(t *testing.T) {
	packed := compressed(goodImages)
	damaged := slices.Clone(packed)
	damaged[len(damaged)-6] ^= 1 // in the checksum
	for name, test := range map[string]struct {
		images, labels []byte
		want           error
	}{
		"empty file":           {nil, goodLabels, ErrTruncated},
		"magic cut":            {goodImages[:3], goodLabels, ErrTruncated},
		"header cut":           {goodImages[:9], goodLabels, ErrTruncated},
		"data cut":             {goodImages[:len(goodImages)-1], goodLabels, ErrTruncated},
		"gzip cut":             {packed[:len(packed)-9], goodLabels, ErrTruncated},
		"gzip checksum cut":    {packed[:len(packed)-2], goodLabels, ErrTruncated},
		"gzip damaged":         {damaged, goodLabels, gzip.ErrChecksum},
		"not IDX":              {[]byte("\x89PNG\r\n\x1a\n"), goodLabels, ErrMagic},
		"labels as images":     {goodLabels, goodLabels, ErrMagic},
		"images as labels":     {goodImages, goodImages, ErrMagic},
		"floats":               {idx(0xd03, nil, 0, 0, 0), goodLabels, ErrMagic},
		"longer":               {append(slices.Clone(goodImages), 0), goodLabels, ErrTrailing},
		"absurd size":          {idx(imagesMagic, nil, 1<<32-1, 1<<32-1, 1<<32-1), goodLabels, ErrTooLarge},
		"large size, no data":  {idx(imagesMagic, nil, 1<<20, 1<<20, 1<<20), goodLabels, ErrTruncated},
		"no images":            {idx(imagesMagic, nil, 0, 2, 3), idx(labelsMagic, nil, 0), ErrEmpty},
		"a label more":         {goodImages, idx(labelsMagic, []byte{0, 1, 2}, 3), ErrLabelCount},
		"label of no class":    {goodImages, idx(labelsMagic, []byte{0, 3}, 2), ErrLabelRange},
		"labels cut":           {goodImages, goodLabels[:len(goodLabels)-1], ErrTruncated},
		"images with no pixel": {idx(imagesMagic, nil, 2, 0, 3), goodLabels, ErrEmpty},
	} {
		if _, err := openIDX(t, test.images, test.labels, []string{"a", "b", "c"}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if _, err := OpenIDX(filepath.Join(t.TempDir(), "none"), "", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v, want %v", err, os.ErrNotExist)
	}
}

func FuzzIDX(f *testing.F) {
	f.Add(goodImages)
	f.Add(compressed(goodImages))
	f.Add(idx(imagesMagic, nil, 1<<31, 1<<31, 1))
	f.Fuzz(func(t *testing.T, file []byte) {
		sides, elements, err := parseIDX(bytes.NewReader(file), 3)
		if err == nil && sides[0]*sides[1]*sides[2] != len(elements) {
			t.Errorf("%d elements for %v", len(elements), sides)
		}
	})
}

func TestFashionMNIST(t *testing.T) {
	d, err := FashionMNIST("", Test)
	if errors.Is(err, ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.Len() != 10_000 || d.C != 1 || d.H != 28 || d.W != 28 || len(d.ClassNames) != 10 {
		t.Errorf("%d images %d×%d×%d of %q", d.Len(), d.C, d.H, d.W, d.ClassNames)
	}
	count := map[int32]int{}
	for _, label := range d.Labels {
		count[label]++
	}
	for class := range int32(10) {
		if count[class] != 1000 {
			t.Errorf("%d images of class %d, want 1000", count[class], class)
		}
	}
	if d.ClassNames[d.Labels[0]] != "Ankle boot" {
		t.Errorf("the first test image is a %s, should be an ankle boot", d.ClassNames[d.Labels[0]])
	}
}

func TestFashionMNISTElsewhere(t *testing.T) {
	folder := t.TempDir()
	_, err := FashionMNIST(folder, Train)
	if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), folder) ||
		!strings.Contains(err.Error(), "apt-get install dataset-fashion-mnist") {
		t.Errorf("%v, want %v with the folder and the remedy", err, ErrNotInstalled)
	}
	for name, content := range map[string][]byte{
		"train-images-idx3-ubyte":    goodImages,
		"train-labels-idx1-ubyte.gz": compressed(goodLabels),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	d, err := FashionMNIST(folder, Train)
	if err != nil || d.Name != "fashion-mnist-train" || d.Len() != 2 {
		t.Errorf("%+v, %v", d, err)
	}
}
