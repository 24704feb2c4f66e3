package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// table has the times of each work, and the peak memory of the processes.
func (b *bench) table() string {
	head := []string{"time of one operation in ms", "images"}
	for _, c := range contestants {
		head = append(head, c.String())
	}
	rows := [][]string{append(head, "GFLOP/s", "of peak", "ratio bfloat16", "ratio float32", "ratio as shipped")}
	memory := [][]string{append([]string{"peak resident memory in MiB"}, head[2:]...)}
	for _, w := range works {
		images := 0.
		var times, sizes []string
		for _, c := range contestants {
			r := b.results[key{w.name, c}]
			if r == nil {
				r = &result{megabytes: []float64{0}}
			}
			images = max(images, r.images)
			times = append(times, number("%.1f", median(r.milliseconds)))
			sizes = append(sizes, number("%.0f", slices.Max(r.megabytes)))
		}
		if images == 0 {
			continue // not measured
		}
		rate := b.rate(w.name)
		row := append([]string{w.title, fmt.Sprint(images)}, times...)
		row = append(row, number("%.0f", rate), number("%.0f %%", 100*rate/b.rate(peak.name)))
		for _, precision := range []string{"bfloat16", "float32"} {
			row = append(row, number("%.2f", b.time(w.name, contestant{pyEngine, precision})/b.time(w.name, contestant{goEngine, precision})))
		}
		row = append(row, number("%.2f", b.time(w.name, contestant{pyEngine, "float32"})/b.time(w.name, b.shipped(w.name))))
		rows, memory = append(rows, row), append(memory, append([]string{w.title}, sizes...))
	}
	return markdown(rows) + "\n" + notes + "\n" + markdown(memory)
}

const notes = `Ratios are PyTorch's time over Pagoda's, in the same precision; "as shipped" is PyTorch's float32 over
Pagoda in the precision it chooses on this machine. GFLOP/s are Pagoda's in that precision, from the counted work
of convolutions and matrix products; the peak is a 3×3 convolution of 256 channels. PyTorch is given as many
threads as Pagoda; the package's default may be fewer.
`

// shipped is our side in the precision that it would choose here.
func (b *bench) shipped(work string) contestant {
	if c := (contestant{goEngine, "bfloat16"}); b.results[key{work, c}] != nil {
		return c
	}
	return contestant{goEngine, "float32"}
}

// time is the median in milliseconds, 0 when it was not measured.
func (b *bench) time(work string, c contestant) float64 {
	if r := b.results[key{work, c}]; r != nil {
		return median(r.milliseconds)
	}
	return 0
}

// rate is our side's median in GFLOP/s, 0 when it was not measured.
func (b *bench) rate(work string) float64 {
	if r := b.results[key{work, b.shipped(work)}]; r != nil {
		return median(r.gflops)
	}
	return 0
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// number formats a positive finite value; anything else was not measured.
func number(format string, v float64) string {
	if !(v > 0 && v < 1e12) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// markdown lays rows out as a table, the first as its head.
func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for n, row := range rows {
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				out.WriteString("| " + cell + padding)
			} else {
				out.WriteString(" | " + padding + cell)
			}
		}
		out.WriteString(" |\n")
		if n == 0 {
			for i, width := range widths {
				if i == 0 {
					out.WriteString("|" + strings.Repeat("-", width+2))
				} else {
					out.WriteString("|" + strings.Repeat("-", width+1) + ":")
				}
			}
			out.WriteString("|\n")
		}
	}
	return out.String()
}
