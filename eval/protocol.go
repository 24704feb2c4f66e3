package eval

import "fmt"

// Line is one statement of a protocol.
type Line struct{ Name, Text string }

// Lines tells the protocol to people.
func (p Protocol) Lines() []Line {
	lines := []Line{{"samples", p.samples()}, {"real", p.Real.text()}, {"features", p.network()}}
	return append(lines, Line{"input", p.input()}, Line{"precision", p.Precision + "; " + p.Engine})
}

func (p Protocol) samples() string {
	text := fmt.Sprintf("%d of %s, %s", p.Count, p.Samples.Name, p.Samples.size())
	m := p.Samples.Model
	if m == nil {
		return text
	}
	seeds := fmt.Sprintf("seed %d", p.Seeds[0])
	if last := len(p.Seeds) - 1; last > 0 {
		seeds = fmt.Sprintf("seeds %d to %d", p.Seeds[0], p.Seeds[last])
	}
	if m.Order != "" {
		text += ", classes " + m.Order
	}
	return text + fmt.Sprintf(", %s, made in %s; %s weights, preset %s, sha256 %s", seeds, m.Precision, m.Kind, m.Preset, m.SHA256)
}

func (r RealInfo) text() string {
	count := fmt.Sprint(r.Count)
	if r.Count == 0 {
		count = "an unknown number of"
	}
	if r.Source == nil {
		return fmt.Sprintf("mean and covariance of %s images, %s", count, r.Statistics)
	}
	text := fmt.Sprintf("%d images of %s", r.Source.N, r.Source.Name)
	if r.Source.H > 0 {
		text += ", " + r.Source.size()
	}
	return text + fmt.Sprintf("; mean and covariance %s, %s images", r.Statistics, count)
}

func (p Protocol) network() string {
	text := fmt.Sprintf("%d of %s, sha256 %s", p.Network.Dimensions, p.Network.Name, p.Network.SHA256)
	if p.Network.Note != "" {
		text += "; " + p.Network.Note
	}
	return text
}

func (p Protocol) input() string {
	if p.Channels != "" {
		return "8 bits, " + p.Channels + ", " + p.Network.Input
	}
	return "8 bits, " + p.Network.Input
}

// size tells the images' size, and how they came by it.
func (i SourceInfo) size() string {
	colour := "colour"
	if i.C == 1 {
		colour = "grey"
	}
	text := fmt.Sprintf("%d×%d %s", i.H, i.W, colour)
	if i.Subset != "" {
		text = i.Subset + ", " + text
	}
	if i.Resize != "" {
		text += " (" + i.Resize + ")"
	}
	return text
}
