package main

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const output = "goos: linux\nBenchmarkTeacher/float32-2   \t 12\t  31000000 ns/op\t 41.5 GFLOP/s\t 128.0 images/op\nPASS\n"
	m := parse(output)
	if m["ns/op"] != 31e6 || m["GFLOP/s"] != 41.5 || m["images/op"] != 128 {
		t.Error(m)
	}
	if parse("testing: warning: no tests to run\nPASS\n") != nil {
		t.Error("metrics out of nothing")
	}
}

func TestTable(t *testing.T) {
	b := &bench{results: map[key]*result{
		{"Teacher", contestant{goEngine, "float32"}}: {milliseconds: []float64{10, 30, 20}, gflops: []float64{50}, images: 128, megabytes: []float64{100, 120}},
		{"Teacher", contestant{pyEngine, "float32"}}: {milliseconds: []float64{50, 30}, images: 128, megabytes: []float64{300}},
		{"Peak", contestant{goEngine, "float32"}}:    {milliseconds: []float64{1}, gflops: []float64{200}},
	}}
	table := b.table()
	for _, want := range []string{"20.0 |", "40.0 |", "25 %", " 2.00 |", "128 |", "120 |", "300 |", "–"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if strings.Contains(table, "inversion") {
		t.Errorf("a row without results in\n%s", table)
	}
}
