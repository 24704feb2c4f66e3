package report

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	_ "gonum.org/v1/plot/vg/vgsvg" // the format that plot writes
)

const (
	width, height = 6 * vg.Inch, 2.4 * vg.Inch
	// points is how many averages a curve is smoothed to.
	points = 60
)

// plot writes the stage's losses over images seen as SVG: thin as logged, thick averaged.
func (t *trace) plot(w io.Writer) error {
	p := plot.New()
	p.BackgroundColor = nil // the page's shows through
	p.X.Label.Text = "images seen"
	p.X.Tick.Marker = thousands{}
	p.Legend.Top = true
	for _, text := range []*font.Font{&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		text.Variant = "Sans"
	}
	for i, name := range lossNames {
		if len(t.losses[name]) == 0 {
			continue
		}
		raw, err := plotter.NewLine(t.losses[name])
		if err != nil {
			return err
		}
		mean, err := plotter.NewLine(smooth(t.losses[name]))
		if err != nil {
			return err
		}
		r, g, b, _ := plotutil.Color(i).RGBA()
		raw.Color = color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 70}
		mean.Color, mean.Width = plotutil.Color(i), vg.Points(1.5)
		p.Add(raw, mean)
		p.Legend.Add(name, mean)
	}
	p.X.Min = 0
	p.Y.Max += (p.Y.Max - p.Y.Min) * 0.3 // room for the legend
	to, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return err
	}
	_, err = to.WriteTo(w)
	return err
}

// smooth averages neighbouring points.
func smooth(in plotter.XYs) plotter.XYs {
	run := max(1, len(in)/points)
	var out plotter.XYs
	for ; len(in) > 0; in = in[min(run, len(in)):] {
		var mean plotter.XY
		part := in[:min(run, len(in))]
		for _, v := range part {
			mean.X += v.X / float64(len(part))
			mean.Y += v.Y / float64(len(part))
		}
		out = append(out, mean)
	}
	return out
}

// thousands are ticks labelled 100k instead of 100000.
type thousands struct{}

// Ticks implements plot.Ticker.
func (thousands) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" && t.Value >= 1000 {
			ticks[i].Label = fmt.Sprintf("%gk", t.Value/1000)
		}
	}
	return ticks
}
