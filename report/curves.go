package report

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

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

// chart is a picture of values over images seen.
type chart struct {
	caption string
	log     bool // the scale is logarithmic
	curves  []curve
}

// curve is a value's name in the log and in the legend.
type curve struct{ name, label string }

var charts = []chart{
	{"Losses; in all curves thin as logged, thick averaged.", false, []curve{
		{"loss", "loss"}, {"reconstruction", "reconstruction"}, {"adversarial", "adversarial"}, {"discriminator", "discriminator"},
		{"adversarial_reconstruction", "adversarial, reconstructions"}, {"discriminator_reconstruction", "discriminator, reconstructions"},
	}},
	{"Mean scores by the discriminator. A gap that keeps growing means that it wins.", false, []curve{
		{"score_real", "real"}, {"score_fake", "generated"}, {"score_real_reconstruction", "real, beside reconstructions"}, {"score_fake_reconstruction", "reconstructions"},
	}},
	{"Norms of the whole gradients, and the weights λ of the adversarial losses.", true, []curve{
		{"gradient", "gradient"}, {"gradient_discriminator", "gradient, discriminator"}, {"lambda", "λ"}, {"lambda_reconstruction", "λ, reconstructions"},
	}},
	{"Fréchet distance of the averaged weights' samples, while they trained.", false, []curve{{"fd", "Fréchet distance"}}},
}

// draw writes a chart of the trace's values as SVG, unless it has none of them.
func (t *trace) draw(w io.Writer, c chart) (drawn bool, err error) {
	p := plot.New()
	p.BackgroundColor = nil // the page's shows through
	p.X.Label.Text = "images seen"
	p.X.Tick.Marker = thousands{}
	p.Legend.Top = true
	for _, text := range []*font.Font{&p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		text.Variant = "Sans"
	}
	room := 0. // for the legend, by the height of the curves
	for i, curve := range c.curves {
		values := t.values[curve.name]
		if c.log {
			values = slices.DeleteFunc(slices.Clone(values), func(v plotter.XY) bool { return v.Y <= 0 })
		}
		if len(values) == 0 {
			continue
		}
		raw, err := plotter.NewLine(values)
		if err != nil {
			return false, err
		}
		mean, err := plotter.NewLine(smooth(values))
		if err != nil {
			return false, err
		}
		r, g, b, _ := plotutil.Color(i).RGBA()
		raw.Color = color.NRGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 70}
		mean.Color, mean.Width = plotutil.Color(i), vg.Points(1.5)
		p.Add(raw, mean)
		p.Legend.Add(curve.label, mean)
		room += 0.12
	}
	if room == 0 {
		return false, nil
	}
	p.X.Min = 0
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Min, p.Y.Max = p.Y.Min/1.2, p.Y.Max*1.2*math.Pow(p.Y.Max/p.Y.Min, room)
	} else {
		p.Y.Max += (p.Y.Max - p.Y.Min) * room
	}
	to, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return false, err
	}
	_, err = to.WriteTo(w)
	return true, err
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
