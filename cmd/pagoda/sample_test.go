package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/models"
)

// pagodaCommand runs the program with arguments and returns what it prints.
func pagodaCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := root()
	c.SetOut(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestSampleWritesASheet(t *testing.T) {
	for _, c := range []struct {
		class string
		n     string
		w, h  int // in pictures
	}{{"", "20", 10, 2}, {"bag", "5", 3, 2}, {"3", "1", 1, 1}} {
		path := filepath.Join(t.TempDir(), "sheet.png")
		text, err := pagodaCommand(t, "sample", "--class", c.class, "--n", c.n, "--out", path)
		if err != nil || !strings.HasPrefix(text, "wrote "+path+": "+c.n+" pictures of 32×32") {
			t.Fatal(text, err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		size, err := png.DecodeConfig(file)
		if err != nil || size.Width != c.w*66+2 || size.Height != c.h*66+2 {
			t.Errorf("%+v: a sheet of %d×%d, %v", c, size.Width, size.Height, err)
		}
	}
}

func TestSampleWritesArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples.npz")
	if _, err := pagodaCommand(t, "sample", "--n", "12", "--out", path); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for i, want := range []string{"'|u1', 'fortran_order': False, 'shape': (12, 32, 32, 1)", "'<i8', 'fortran_order': False, 'shape': (12,)"} {
		array, err := archive.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(array); err != nil || !strings.Contains(content.String(), want) {
			t.Errorf("%s: %q, %v", archive.File[i].Name, content.String()[:128], err)
		}
	}
}

func TestSampleIsTheSameEachTime(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/", "b"} {
		if _, err := pagodaCommand(t, "sample", "--n", "3", "--seed", "5", "--out", dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"000000.png", "000002.png"} {
		a, errA := os.ReadFile(filepath.Join(dir, "a", name))
		b, errB := os.ReadFile(filepath.Join(dir, "b", name))
		if errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
			t.Error(name, "differs", errA, errB)
		}
	}
}

// A preset's network with random weights tells what a picture takes.
func TestSampleRandom(t *testing.T) {
	dir := t.TempDir()
	preset := filepath.Join(dir, "tiny.toml")
	if err := os.WriteFile(preset, []byte("name = \"tiny\"\nbase = \"demo\"\n[network]\nchannels = 16\ngroups = 8\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	text, err := pagodaCommand(t, "sample", "--random", preset, "--n", "3", "--out", filepath.Join(dir, "x.npz"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(preset)
	if err != nil {
		t.Fatal(err)
	}
	parameters := c.Generator(len(c.Grow)).WithClasses(20).Parameters() // half of them of mirror images
	for _, want := range []string{
		"3 pictures of 32×32", fmt.Sprint(parameters, " parameters"), " GFLOP a picture at ", " GFLOP/s, ", " % of the processor's peak", " GiB of memory",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestRate(t *testing.T) {
	for _, c := range []struct {
		images int64
		took   time.Duration
		want   string
	}{{100, 50 * time.Millisecond, "2000 img/s"}, {3, 2 * time.Second, "2 img/s"}, {2, 31 * time.Second, "15.5 s/img"}, {0, time.Minute, "60.0 s/img"}} {
		if got := strings.TrimSpace(rate(c.images, c.took)); got != c.want {
			t.Errorf("%d images in %v: %s, want %s", c.images, c.took, got, c.want)
		}
	}
}

// Pictures of an earlier call are replaced, not left among those of this one.
func TestSampleLeavesNoOthersInAFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pictures")
	for _, n := range []string{"3", "3"} {
		if _, err := pagodaCommand(t, "sample", "--n", n, "--out", dir); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "7.png"), nil) // not one of ours
	if err := fails(t, []string{"sample", "--n", "2", "--out", dir}, dir+" has 000002.png of an earlier call"); errors.Is(err, errUsage) {
		t.Error(err)
	}
	fails(t, []string{"sample", "--n", "2", "--out", filepath.Join(dir, "7.png") + "/"}, "cannot write the pictures")
}

func TestChannelsGoLastInArrays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	in := func(keep func(pictures) error) error { // two parts
		return errors.Join(
			keep(pictures{[]uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []int64{4}}),
			keep(pictures{[]uint8{21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32}, []int64{5}}))
	}
	if err := writeArrays(path, pagoda.Info{Channels: 3, Resolution: 2}, 2, in); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(content, []byte{1, 5, 9, 2, 6, 10, 3, 7, 11, 4, 8, 12, 21, 25, 29, 22, 26, 30, 23, 27, 31, 24, 28, 32}) ||
		!bytes.Contains(content, []byte{4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0}) {
		t.Error("the pixels are not N,H,W,C, or the classes are wrong", err)
	}
}

func TestWrongUsage(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "x.png")
	for _, c := range []struct {
		mention string
		usage   bool
		args    []string
	}{
		{`"Sneaker"`, true, []string{"sample", "--class", "snaeker", "--out", out}},
		{"0 to 9", true, []string{"sample", "--class", "10", "--out", out}},
		{"--n", true, []string{"sample", "--n", "0"}},
		{"--out is empty", true, []string{"sample", "--out", ""}},
		{"give one of them", true, []string{"sample", "--model", "x", "--random", "demo"}},
		{`--random: config: no preset "nosuch"; did you mean`, true, []string{"sample", "--random", "nosuch", "--out", out}},
		{`no preset "nosuch"`, true, []string{"plan", "nosuch"}},
		{`"0" for "--batch" flag: it must be at least 1`, true, []string{"plan", "demo", "--batch", "0"}},
		{"--batch", true, []string{"plan", "demo", "--batch", "-3"}},
		{"--images", true, []string{"plan", "imagenet-64", "--images", "-5"}},
		{"whole number", true, []string{"plan", "imagenet-64", "--images", "many"}},
		{`--preset: config: no preset "nosuch"`, true, []string{"import", teacherPickle, out, "--preset", "nosuch"}},
		{"it must be teacher or generator", true, []string{"import", teacherPickle, out, "--stage", "foo"}},
		{"it must be legacy or flash", true, []string{"import", teacherPickle, out, "--head-order", "foo"}},
		{"--resolution", true, []string{"import", teacherPickle, out, "--resolution", "-1"}},
		{dir + " is a folder; name a file in it", false, []string{"import", teacherPickle, dir, "--force"}},
		{dir + " is a folder; name a .safetensors file in it", false, []string{"sample", "--model", dir, "--out", out}},
		{"--n", true, []string{"eval", "--n", "-1"}},
		{"at least 1", true, []string{"eval", "--repeats", "0"}},
		{"at most 1000", true, []string{"eval", "--repeats", "1000000000"}},
		{`--input: no rule "foo"`, true, []string{"eval", "--input", "foo"}},
		{".npz", true, []string{"sample", "--out", filepath.Join(dir, "x.gif")}},
		{"--sed", true, []string{"sample", "--sed", "1"}},
		{"no folder", false, []string{"sample", "--out", filepath.Join(dir, "none", "x.png")}},
		{"missing.safetensors", false, []string{"sample", "--model", filepath.Join(dir, "missing.safetensors"), "--out", out}},
		{"arg", true, []string{"info"}},
		{"no run", false, []string{"info", dir}},
		{"missing", false, []string{"info", filepath.Join(dir, "missing")}},
		{"arg", true, []string{"import", "one"}},
	} {
		_, err := pagodaCommand(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.mention) || errors.Is(err, errUsage) != c.usage {
			t.Errorf("%v: %v", c.args, err)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a failed command wrote its file")
	}
}

func TestInterruptedSampleWritesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "x.png")
	s := sampling{n: 5, out: out, options: pagoda.Options{Device: "cpu"}}
	if err := s.run(ctx, t.Output()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the file is there")
	}
}

// embeddedFile is the embedded model as a file.
func embeddedFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, models.FashionMNIST, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSampleRefusesWrongFlags(t *testing.T) {
	for _, c := range []struct{ flag, value, mention string }{
		{"--device", "gpu", `device "gpu" is neither cpu nor cuda`},
		{"--precision", "int8", "float32 or bfloat16 or float16"},
	} {
		if _, err := pagodaCommand(t, "sample", c.flag, c.value, "--out", filepath.Join(t.TempDir(), "x.png")); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.mention) {
			t.Errorf("%s %s: %v", c.flag, c.value, err)
		}
	}
}

// The parts that samples are made and kept in are those of one request.
func TestPart(t *testing.T) {
	m, err := pagoda.Default()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first, told := partOf(m.Info()), 0
	request := pagoda.Request{N: first + 3, Seed: 5, Progress: func(done, total int) { told = total - done }}
	p, err := part(t.Context(), m, request, first)
	if err != nil {
		t.Fatal(err)
	}
	pixels, classes, err := m.Pixels(t.Context(), pagoda.Request{First: first, N: 3, Seed: 5})
	if err != nil || !bytes.Equal(p.pixels, pixels) || !slices.Equal(p.classes, classes) || told != 0 {
		t.Errorf("classes %v, want %v; %d pictures left; %v", p.classes, classes, told, err)
	}
	if n := partOf(pagoda.Info{Channels: 3, Resolution: 4096}); n != 16 {
		t.Errorf("%d large pictures at a time", n)
	}
}
