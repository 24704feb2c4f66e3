// Package report writes what a person wants to see of a finished run: one HTML
// file with pictures, curves, costs and scores, and nothing outside it.
package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/eval"
	"github.com/pagoda-go/pagoda/plan"
	"github.com/pagoda-go/pagoda/stage"
)

// File is the name of the report in the run's folder.
const File = "report.html"

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
	"decimal": func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"fixed":   func(v float64) string { return fmt.Sprintf("%.3f", v) },
	"figure":  func(r *eval.Result, key string) float64 { return r.Figure(key).Mean },
	"tera":    func(v float64) string { return fmt.Sprintf("%.3g", v/1e12) },
	"giga":    func(v float64) string { return fmt.Sprintf("%.3g", v/1e9) },
	"duration": func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second)
	},
}).Parse(pageText))

// page is what the template shows.
type page struct {
	*stage.Env
	Base, Full int // resolutions of the teacher and of the last generator, pixels
	Stages     []section
	Inversion  map[string]float64 // what the inversion logged about its latents
	Total      section            // of Stages
	BaseFLOPs  float64            // of the teacher's training, for an image
	FullFLOPs  float64            // of the same at the data's resolution
	Scores     *eval.Scores
	Text       string // the configuration
}

// Ratio is what the teacher's training would cost at the data's resolution, over what it cost.
func (p page) Ratio() float64 { return p.FullFLOPs / p.BaseFLOPs }

// Last is the stage that made the finished generator.
func (p page) Last() section { return p.Stages[len(p.Stages)-1] }

// section is one stage of the run.
type section struct {
	Title, Caption string
	Pictures       []picture
	Curves         []picture
	Seconds        float64
	Images         float64
	FLOPs          float64
	Skipped        share // of updates
	Clamped        share // of weights of losses
}

// Rate is how many images the stage worked on in a second.
func (s section) Rate() string {
	if s.Seconds == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", s.Images/s.Seconds)
}

// picture is an image inside the page.
type picture struct {
	Source  template.URL
	Caption string
}

// Write makes the report of a run that has gone through stage.Train and
// eval.ScoreRun, and returns its path.
func Write(e *stage.Env) (path string, err error) {
	p, err := newPage(e)
	if err != nil {
		return "", fmt.Errorf("the report: %w", err)
	}
	path = e.Path(File)
	return path, checkpoint.WriteFileAtomic(path, func(w io.Writer) error { return pageTemplate.Execute(w, p) })
}

func newPage(e *stage.Env) (p *page, err error) {
	c := e.Config
	p = &page{Env: e, Base: c.Network.Resolution, Full: c.Generator(len(c.Grow)).OutputSize()}
	if p.Scores, err = eval.ReadScores(e); err != nil {
		return nil, err
	}
	text, err := e.Run.Config()
	if err != nil {
		return nil, err
	}
	p.Text = string(text)
	if p.BaseFLOPs, err = plan.TeacherFLOPs(c, p.Base); err != nil {
		return nil, err
	}
	if p.FullFLOPs, err = plan.TeacherFLOPs(c, c.Data.Resolution); err != nil {
		return nil, err
	}
	log, err := readLog(e.Run)
	if err != nil {
		return nil, err
	}
	p.Inversion = log["invert"].last
	if err := p.addStages(log); err != nil {
		return nil, err
	}
	p.Total.Title = "All"
	for _, s := range p.Stages {
		p.Total.Seconds += s.Seconds
		p.Total.FLOPs += s.FLOPs
		p.Total.Skipped, p.Total.Clamped = p.Total.Skipped.add(s.Skipped), p.Total.Clamped.add(s.Clamped)
	}
	return p, nil
}

func (p *page) addStages(log map[string]*trace) error {
	if features := log["features"]; features != nil { // else they are pretrained
		if err := p.add(features, section{
			Title:   "Feature network",
			Caption: "A small classifier of the same images. Its activations measure distances between images and are what the discriminator sees.",
		}); err != nil {
			return err
		}
	}
	if err := p.add(log["teacher"], section{
		Title:   fmt.Sprintf("Teacher, %d px", p.Base),
		Caption: "A diffusion model that has only ever seen downsampled images.",
	}, shown{stage.TeacherSamplesFile, fmt.Sprintf("Samples of the teacher in %d evaluations of its network.", 2*p.Config.Invert.Steps-1)}); err != nil {
		return err
	}
	if err := p.add(log["invert"], section{
		Title:   "Inversion",
		Caption: "The probability-flow ODE leads every training image to its latent z.",
	}); err != nil {
		return err
	}
	for n := range len(p.Config.Grow) + 1 {
		size := p.Config.Generator(n).OutputSize()
		s := section{Title: fmt.Sprintf("Distillation, %d px", size), Caption: "The teacher becomes a generator of one step."}
		if n > 0 {
			s.Title, s.Caption = fmt.Sprintf("Growth to %d px", size), "New blocks on top of the generator below, which stays frozen."
		}
		if err := p.add(log[fmt.Sprintf("generator-%d", size)], s,
			shown{stage.SamplesFile(size), "Samples in one step, of the same latents in every stage."},
			shown{stage.ReconstructionsFile(size), "Training images, each over what the generator makes of its latent."}); err != nil {
			return err
		}
	}
	return nil
}

// shown is a picture in the run's folder.
type shown struct{ file, caption string }

func (p *page) add(t *trace, s section, pictures ...shown) (err error) {
	if t == nil {
		t = &trace{}
	}
	for _, f := range pictures {
		content, err := os.ReadFile(filepath.Join(p.Run.Dir, f.file))
		if err != nil {
			return err
		}
		s.Pictures = append(s.Pictures, picture{inline("image/png", content), f.caption})
	}
	s.Seconds, s.Images, s.FLOPs = t.seconds, t.images, t.last[flopsKey]*t.images
	s.Skipped, s.Clamped = t.shares[skippedKey], t.shares[clampedKey]
	for _, c := range charts {
		var svg bytes.Buffer
		drawn, err := t.draw(&svg, c)
		if err != nil {
			return fmt.Errorf("the curves of %s: %w", s.Title, err)
		}
		if drawn {
			s.Curves = append(s.Curves, picture{inline("image/svg+xml", svg.Bytes()), c.caption})
		}
	}
	p.Stages = append(p.Stages, s)
	return nil
}

// inline makes a file part of the page.
func inline(kind string, content []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content))
}
