// Command serve answers requests over HTTP with pictures that are made as they are asked for.
//
//	go run ./examples/serve [-model FILE] [-device cuda] [-addr localhost:8080]
//	curl -o bags.png 'localhost:8080/pictures?class=bag&n=8&seed=1'
//
// The same seed gives the same pictures; without one chance decides. Requests that
// come together are computed together, and one whose client has gone is dropped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/pagoda-go/pagoda"
	"github.com/pagoda-go/pagoda/data"
)

// mostPictures are made for one request.
const mostPictures = 64

func main() {
	path := flag.String("model", "", "a generator's .safetensors file (default the embedded model)")
	device := flag.String("device", "cpu", "cpu, or cuda:N with a libtorch built for CUDA")
	address := flag.String("addr", "localhost:8080", "where to listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *path, pagoda.Options{Device: *device}); err != nil {
		log.Fatal(err)
	}
}

// run serves a model until ctx is done.
func run(ctx context.Context, address, path string, o pagoda.Options) error {
	open := o.Default
	if path != "" {
		open = func() (*pagoda.Model, error) { return o.Open(path) }
	}
	model, err := open()
	if err != nil {
		return err
	}
	defer model.Close()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	log.Printf("pictures at http://%s/pictures", listener.Addr())
	return serve(ctx, listener, model)
}

// serve answers until ctx is done, and then finishes what it has begun.
func serve(ctx context.Context, listener net.Listener, model *pagoda.Model) error {
	server := &http.Server{Handler: handler(model), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- server.Shutdown(within)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// handler serves sheets of a model's pictures as PNG.
func handler(model *pagoda.Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /pictures", func(w http.ResponseWriter, r *http.Request) {
		request, err := parse(r.URL.Query(), model.Info())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		pixels, _, err := model.Pixels(r.Context(), request)
		switch {
		case r.Context().Err() != nil: // nobody listens
			return
		case err != nil:
			log.Print(err)
			http.Error(w, "the model failed", http.StatusInternalServerError)
			return
		}
		i := model.Info()
		w.Header().Set("Content-Type", "image/png")
		w.Header().Set("Seed", strconv.FormatUint(request.Seed, 10))
		_ = png.Encode(w, data.Grid(pixels, request.N, i.Channels, i.Resolution, i.Resolution, min(request.N, 8), 1)) // fails when the client has gone
	})
	return mux
}

// parse reads class, by name or number, n and seed.
func parse(q url.Values, model pagoda.Info) (r pagoda.Request, err error) {
	r.N, r.Seed = 1, rand.Uint64()
	if text := q.Get("n"); text != "" {
		if r.N, err = strconv.Atoi(text); err != nil || r.N < 1 || r.N > mostPictures {
			return r, fmt.Errorf("n is %q: it must be a number from 1 to %d", text, mostPictures)
		}
	}
	if text := q.Get("seed"); text != "" {
		if r.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			return r, fmt.Errorf("seed is %q: it must be a whole number, 0 or more", text)
		}
	}
	for _, name := range q["class"] {
		class, err := model.Class(name)
		if err != nil {
			return r, err
		}
		r.Classes = append(r.Classes, class)
	}
	return r, nil
}
