package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// source serves content, cut off after limit bytes while that is positive, and counts what it was asked for.
type source struct {
	content []byte
	limit   int
	plain   bool     // ignores Range
	ranges  []string // of the requests
}

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.plain {
		r.Header.Del("Range")
	}
	if s.limit > 0 {
		w = &cutWriter{w, s.limit}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

// cutWriter breaks the connection after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(data []byte) (int, error) {
	if len(data) > c.left {
		_, _ = c.ResponseWriter.Write(data[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(data)
	return c.ResponseWriter.Write(data)
}

// serve starts a source of random content, and returns it with the file that describes it and an empty folder.
func serve(t *testing.T) (*source, File, string) {
	t.Helper()
	s := &source{content: make([]byte, 100_000)}
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(s.content)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	sum := sha256.Sum256(s.content)
	return s, File{Name: "weights", URL: server.URL + "/a.pth", File: "a.pth", SHA256: hex.EncodeToString(sum[:])}, filepath.Join(t.TempDir(), "weights")
}

// entries are the names in a folder.
func entries(t *testing.T, folder string) string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// requireFetched fetches and compares the content.
func requireFetched(t *testing.T, s *source, f File, folder string) {
	t.Helper()
	path, sum, err := f.Fetch(context.Background(), folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, s.content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if want := sha256.Sum256(s.content); sum != hex.EncodeToString(want[:]) {
		t.Errorf("SHA-256 %s", sum)
	}
	if names := entries(t, folder); names != f.File {
		t.Errorf("the folder has %s", names)
	}
	if found, err := f.Find(folder); err != nil || found != path {
		t.Errorf("found %s, %v", found, err)
	}
}

func TestFetch(t *testing.T) {
	for name, digits := range map[string]int{"checksum": 64, "beginning of the checksum": 8, "no checksum": 0} {
		t.Run(name, func(t *testing.T) {
			s, f, folder := serve(t)
			f.SHA256 = f.SHA256[:digits]
			if _, err := f.Find(folder); !errors.Is(err, ErrMissing) {
				t.Errorf("found before it was there: %v", err)
			}
			requireFetched(t, s, f, folder)
			requireFetched(t, s, f, folder)
			if len(s.ranges) != 1 {
				t.Errorf("%d requests for a file that is there", len(s.ranges))
			}
		})
	}
}

func TestFetchTellsProgress(t *testing.T) {
	_, f, folder := serve(t)
	var last int64
	_, _, err := f.Fetch(context.Background(), folder, func(done, total int64) {
		if done < last || total != 100_000 {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != 100_000 {
		t.Errorf("%d bytes told, %v", last, err)
	}
}

func TestFetchGoesOnAfterACut(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *source, f *File)
		want   string // range of the second request
	}{
		"resumed":               {func(*source, *File) {}, "bytes=60000-"},
		"source without ranges": {func(s *source, _ *File) { s.plain = true }, "bytes=60000-"},
		"no checksum":           {func(_ *source, f *File) { f.SHA256 = "" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, f, folder := serve(t)
			c.change(s, &f)
			s.limit = 60_000
			if _, _, err := f.Fetch(context.Background(), folder, nil); err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
				t.Fatalf("a cut: %v", err)
			}
			if names := entries(t, folder); names != "a.pth.part" {
				t.Fatalf("the folder has %s", names)
			}
			s.limit = 0
			requireFetched(t, s, f, folder)
			if got := s.ranges[1]; got != c.want {
				t.Errorf("asked for %q, want %q", got, c.want)
			}
		})
	}
}

func TestFetchTakesACompletePart(t *testing.T) {
	s, f, folder := serve(t)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "a.pth.part"), s.content, 0o666); err != nil {
		t.Fatal(err)
	}
	requireFetched(t, s, f, folder)
}

func TestFetchRefusesAnotherFile(t *testing.T) {
	_, f, folder := serve(t)
	f.SHA256 = "0123abcd"
	if _, _, err := f.Fetch(context.Background(), folder, nil); !errors.Is(err, ErrChecksum) {
		t.Errorf("another file: %v", err)
	}
	if names := entries(t, folder); names != "" {
		t.Errorf("left behind: %s", names)
	}
	path := filepath.Join(folder, f.File)
	if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Fetch(context.Background(), folder, nil); !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), path) {
		t.Errorf("another file installed by hand: %v", err)
	}
	if names := entries(t, folder); names != f.File {
		t.Errorf("the user's own file is gone: %q", names)
	}
}

func TestFetchSaysWhatToDo(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for at, want := range map[string]string{gone.URL: "404 Not Found", closed.URL: "refused"} {
		folder := t.TempDir()
		f := File{Name: "weights", URL: at + "/a.pth", File: "a.pth"}
		_, _, err := f.Fetch(context.Background(), folder, nil)
		_, missing := f.Find(folder)
		for _, e := range []error{err, missing} {
			advice := "get " + f.URL + " and put it at " + filepath.Join(folder, "a.pth")
			if e == nil || !strings.Contains(e.Error(), advice) || strings.Contains(e.Error(), "\n") {
				t.Errorf("no advice in: %v", e)
			}
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestFetchStops(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("the first half"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer slow.Close()
	f, folder := File{URL: slow.URL, File: "a.pth"}, t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	_, _, err := f.Fetch(ctx, folder, func(int64, int64) { stop() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := f.Find(folder); !errors.Is(err, ErrMissing) {
		t.Errorf("half a file counts as installed: %v", err)
	}
}

func TestInstalled(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	_, f, err := Installed("inception")
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "or run pagoda features fetch inception") {
		t.Errorf("missing: %v", err)
	}
	want := filepath.Join(cache, "pagoda", "weights", f.File)
	if err := errors.Join(os.MkdirAll(filepath.Dir(want), 0o777), os.WriteFile(want, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if path, _, err := Installed("inception"); path != want || err != nil {
		t.Errorf("%s, %v, want %s", path, err, want)
	}
	other := filepath.Join(cache, "pagoda", "weights", "vgg16.safetensors")
	if err := os.WriteFile(other, []byte("another form"), 0o666); err != nil {
		t.Fatal(err)
	}
	path, f, err := Installed("vgg16")
	if path != other || err != nil {
		t.Errorf("%s, %v, want %s", path, err, other)
	}
	if path, sum, err := f.Fetch(context.Background(), filepath.Dir(other), nil); path != other || len(sum) != 64 || err != nil {
		t.Errorf("fetched what is there in another form: %s, %s, %v", path, sum, err)
	}
	if _, _, err := Installed("resnet"); err == nil {
		t.Error("weights that are not in the catalogue are installed")
	}
}

func TestCatalogue(t *testing.T) {
	names, files := map[string]bool{}, map[string]bool{}
	for _, f := range Catalogue {
		if names[f.Name] || files[f.File] {
			t.Errorf("%s is there twice", f.Name)
		}
		names[f.Name], files[f.File] = true, true
		if u, err := url.Parse(f.URL); err != nil || u.Scheme != "https" {
			t.Errorf("%s: %s", f.Name, f.URL)
		}
		if f.About == "" || filepath.Base(f.File) != f.File || strings.Trim(f.SHA256, "0123456789abcdef") != "" {
			t.Errorf("%+v", f)
		}
		if got, err := Lookup(f.Name); err != nil || got != f {
			t.Errorf("%s: %+v, %v", f.Name, got, err)
		}
	}
	if _, err := Lookup("resnet"); err == nil || !strings.Contains(err.Error(), "vgg16") {
		t.Errorf("a name that is not there: %v", err)
	}
}
