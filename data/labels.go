package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
)

// ErrLabels: a dataset.json does not give every image a class.
var ErrLabels = errors.New("not usable labels")

// labelsFile is what EDM's and StyleGAN's dataset_tool.py write beside the images:
// {"labels": [["00000/img00000000.png", 6], …]}, or null for images without classes.
const labelsFile, labelsKey = "dataset.json", "labels"

// maxClasses is the number beyond which a class is taken for a mistake.
const maxClasses = 1 << 16

// classes returns the class of every file and the classes' names: those of
// dataset.json, which are numbers, or else the folders that the files lie in.
func classes(fsys fs.FS, files []string) (labels []int32, names []string, err error) {
	text, err := fs.ReadFile(fsys, labelsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		labels, names = folders(files)
		return labels, names, nil
	case err != nil:
		return nil, nil, err
	}
	var content map[string]json.RawMessage
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", labelsFile, ErrLabels, err)
	}
	list, ok := content[labelsKey]
	if !ok { // it says something else
		labels, names = folders(files)
		return labels, names, nil
	}
	if labels, names, err = numbered(list, files); err != nil {
		err = fmt.Errorf("%s: %w: %w", labelsFile, ErrLabels, err)
	}
	return labels, names, err
}

func folders(files []string) (labels []int32, names []string) {
	numbers := map[string]int32{}
	for _, file := range files {
		numbers[path.Dir(file)] = 0
	}
	names = slices.Sorted(maps.Keys(numbers))
	for i, name := range names {
		numbers[name] = int32(i)
	}
	for _, file := range files {
		labels = append(labels, numbers[path.Dir(file)])
	}
	return labels, names
}

func numbered(list []byte, files []string) (labels []int32, names []string, err error) {
	var pairs [][2]json.RawMessage
	if err := json.Unmarshal(list, &pairs); err != nil {
		return nil, nil, err
	}
	labels = make([]int32, len(files))
	if pairs == nil {
		return labels, []string{"."}, nil
	}
	numbers := make(map[string]int32, len(pairs))
	for _, pair := range pairs {
		var file string
		var label *int32
		if json.Unmarshal(pair[0], &file) != nil || json.Unmarshal(pair[1], &label) != nil || label == nil {
			return nil, nil, fmt.Errorf("%q, %q is not an image and the number of its class", pair[0], pair[1])
		}
		numbers[file] = *label
	}
	most := int32(0)
	for i, file := range files {
		label, ok := numbers[file]
		if !ok {
			return nil, nil, fmt.Errorf("it has no class for %s", file)
		}
		if label < 0 || label >= maxClasses {
			return nil, nil, fmt.Errorf("%s is of class %d; they go from 0 to %d", file, label, maxClasses-1)
		}
		labels[i], most = label, max(most, label)
	}
	for i := range most + 1 {
		names = append(names, strconv.Itoa(int(i)))
	}
	return labels, names, nil
}
