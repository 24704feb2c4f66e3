package main

import (
	"bytes"
	"context"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/pagoda-go/pagoda"
)

func get(t *testing.T, server *httptest.Server, query string) (*http.Response, []byte) {
	t.Helper()
	answer, err := http.Get(server.URL + query)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

func TestPictures(t *testing.T) {
	model, err := pagoda.Default()
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	server := httptest.NewServer(handler(model))
	defer server.Close()

	answer, bags := get(t, server, "/pictures?class=bag&class=dress&n=10&seed=1")
	sheet, err := png.Decode(bytes.NewReader(bags))
	if err != nil || answer.Header.Get("Content-Type") != "image/png" || sheet.Bounds().Dx() != 8*34+2 || sheet.Bounds().Dy() != 2*34+2 {
		t.Fatalf("%s %v: %v", answer.Status, answer.Header, err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, again := get(t, server, "/pictures?class=bag&class=dress&n=10&seed=1"); !bytes.Equal(again, bags) {
				t.Error("the same request gave other pictures")
			}
		})
	}
	group.Wait()
	chance, one := get(t, server, "/pictures")
	if _, same := get(t, server, "/pictures?seed="+chance.Header.Get("Seed")); !bytes.Equal(same, one) {
		t.Error("the seed that was told gives other pictures")
	}
	for query, want := range map[string]string{
		"?n=0": "from 1 to 64", "?n=65": "from 1 to 64", "?n=x": "from 1 to 64", "?seed=-1": "whole number", "?class=hat": "hat",
	} {
		if answer, body := get(t, server, "/pictures"+query); answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s %s, want %q", query, answer.Status, body, want)
		}
	}
}

func TestServeStops(t *testing.T) {
	model, err := pagoda.Default()
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- serve(ctx, listener, model) }()
	url := "http://" + listener.Addr().String() + "/pictures"
	answer, err := http.Get(url)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("it still answers")
	}
	if err := run(t.Context(), "localhost:0", "missing.safetensors", pagoda.Options{}); err == nil {
		t.Error("a model that is not there was served")
	}
}
