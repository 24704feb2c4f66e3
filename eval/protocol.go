package eval

import (
	"fmt"

	"github.com/pagoda-go/pagoda/torch"
)

// Line is one statement of a protocol.
type Line struct {
	Name string // what it is about
	Text string
}

// engine tells which one computed, and where.
func engine(device torch.Device) (string, error) {
	e, err := torch.Describe()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("libtorch %s on %s", e.Version, device), nil
}

// Lines tells the protocol to people.
func (p Protocol) Lines() []Line {
	lines := []Line{{"samples", p.samples()}}
	if p.Real != nil {
		lines = append(lines, Line{"real", p.Real.text()})
	}
	if p.Network != nil {
		lines = append(lines, Line{"features", p.Network.text()}, Line{"input", p.input()})
	}
	return append(lines, Line{"precision", p.Precision + "; " + p.Engine})
}

func (p Protocol) samples() string {
	text := fmt.Sprintf("%d of %s, %s", p.Count, p.Samples.Name, p.Samples.size())
	m := p.Samples.Model
	if m == nil {
		return text
	}
	if m.Order != "" {
		text += ", classes " + m.Order
	}
	if last := len(p.Seeds) - 1; last > 0 {
		text += fmt.Sprintf(", seeds %d to %d", p.Seeds[0], p.Seeds[last])
	} else if last == 0 {
		text += fmt.Sprintf(", seed %d", p.Seeds[0])
	}
	if m.Steps > 0 {
		text += fmt.Sprintf(", %d steps of Heun's method", m.Steps)
	}
	return text + fmt.Sprintf(", made in %s; %s weights, preset %s, sha256 %s", m.Precision, m.Kind, m.Preset, m.SHA256)
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
	if r.Statistics == "" {
		return text
	}
	return text + fmt.Sprintf("; mean and covariance %s, %s images", r.Statistics, count)
}

func (n NetworkInfo) text() string {
	text := n.Name + ", sha256 " + n.SHA256
	if n.Dimensions > 0 {
		text = fmt.Sprintf("%d of %s", n.Dimensions, text)
	}
	if n.Note != "" {
		text += "; " + n.Note
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
