package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/features/fetch"
)

func TestFeaturesFetchListsWhatIsInstalled(t *testing.T) {
	folder := t.TempDir()
	f := fetch.Catalogue[1]
	if err := os.WriteFile(filepath.Join(folder, f.File), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	text, err := pagodaCommand(t, "features", "fetch", "--dir", folder)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text, "\n"); lines != len(fetch.Catalogue)+3 || strings.Count(text, "  yes  ") != 1 {
		t.Errorf("%d lines:\n%s", lines, text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, f.Name) && !strings.Contains(line, "  yes  ") {
			t.Errorf("installed, but: %s", line)
		}
	}
}

func TestFeaturesFetchRefusesUnknownNames(t *testing.T) {
	if _, err := pagodaCommand(t, "features", "fetch", "vgg61", "--dir", t.TempDir()); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "vgg16") {
		t.Error(err)
	}
}

// A file put there by hand is checked, without the network.
func TestFeaturesFetchChecksWhatIsInstalled(t *testing.T) {
	folder := t.TempDir()
	f, err := fetch.Lookup("vgg16")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, f.File), []byte("not VGG-16"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := pagodaCommand(t, "features", "fetch", "vgg16", "--dir", folder); !errors.Is(err, fetch.ErrChecksum) {
		t.Error(err)
	}
}
