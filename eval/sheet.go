package eval

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/metrics"
)

// The files of a sheet.
const (
	SheetPicture = "nearest.png"
	SheetPage    = "index.html"
)

// sheetRows samples are shown twice over, the first ones and the most suspicious
// ones, each with its sheetNearest nearest training images, about sheetCell pixels a side.
const sheetRows, sheetNearest, sheetCell = 10, 6, 64

//go:embed sheet.html
var sheetText string

var sheetTemplate = template.Must(template.New("sheet").Parse(sheetText))

// sheetData is what the page shows.
type sheetData struct {
	*Result
	Picture           template.URL
	Rows, Nearest     int
	Train             SourceInfo
	RealIsTrain       bool    // the real images are the training images: a real one's nearest is another
	OfSamples, OfReal float64 // median distances to the nearest training image
	Closest           float64 // least distance of a sample
	Closer            float64 // percent of the real images that lie closer than that
}

// makeSheetFolder makes the folder of a sheet that is wanted.
func (e *evaluation) makeSheetFolder() error {
	if e.Sheet == "" {
		return nil
	}
	if err := os.MkdirAll(e.Sheet, 0o777); err != nil {
		return fmt.Errorf("no folder for the sheet: %w", err)
	}
	return nil
}

// checkSheet says, before the work begins, why a sheet that is wanted cannot be made.
func (e *evaluation) checkSheet(real *reference) error {
	if e.Sheet == "" {
		return nil
	}
	if real.set == nil {
		return fmt.Errorf("a sheet needs real images, %s has only their statistics", e.Real)
	}
	source, err := e.pass("").openReal(e.trainName(), e.info)
	if err != nil {
		return fmt.Errorf("the sheet: %w", err)
	}
	defer source.Close()
	if err := e.pass("").check(source.Info(), source.Info().N); err != nil {
		return fmt.Errorf("the sheet: %w", err)
	}
	return nil
}

// trainName is the source of the images to look for samples in.
func (e *evaluation) trainName() string { return cmp.Or(e.Train, e.Real) }

// sheet writes the samples of the first repetition beside the training images
// nearest to them in the network's eyes, to show whether they repeat those.
func (e *evaluation) sheet(ctx context.Context, samples Source, c collected, real *reference, r *Result) error {
	train, among, err := e.trainingImages(ctx, real)
	if err != nil {
		return err
	}
	defer train.Close()
	nearest, err := metrics.Nearest(c.Features, among, sheetNearest, e.step(ctx, "nearest images"))
	if err != nil {
		return fmt.Errorf("the sheet: %w", err)
	}
	d := &sheetData{Result: r, Rows: sheetRows, Nearest: sheetNearest, Train: train.Info(), RealIsTrain: e.Train == ""}
	if err := d.distances(nearest, real.set.Features, among, e.step(ctx, "nearest real images")); err != nil {
		return err
	}
	picture, err := drawSheet(ctx, samples, train, nearest)
	if err != nil {
		return err
	}
	if err := writeBytes(filepath.Join(e.Sheet, SheetPicture), picture); err != nil {
		return err
	}
	d.Picture = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(picture))
	var page bytes.Buffer
	if err := sheetTemplate.Execute(&page, d); err != nil {
		return fmt.Errorf("the sheet: %w", err)
	}
	return writeBytes(filepath.Join(e.Sheet, SheetPage), page.Bytes())
}

// trainingImages are the images to look for samples in, and their features.
func (e *evaluation) trainingImages(ctx context.Context, real *reference) (Source, metrics.Features, error) {
	source, err := e.pass("").openReal(e.trainName(), e.info)
	if err != nil || e.Train == "" {
		return source, real.set.Features, err
	}
	c, err := e.pass("training images").collect(ctx, source, source.Info().N)
	if err != nil {
		_ = source.Close()
		return nil, metrics.Features{}, err
	}
	return source, c.Features, nil
}

// distances compares how near the samples come to the training images with how near real images do.
func (d *sheetData) distances(nearest []metrics.Neighbours, real, among metrics.Features, step metrics.Step) error {
	k := 1
	if d.RealIsTrain {
		k = 2 // its own nearest is itself
	}
	ofReal, err := metrics.Nearest(real, among, k, step)
	if err != nil {
		return fmt.Errorf("the sheet: %w", err)
	}
	at := func(list []metrics.Neighbours, k int) (sorted []float64) {
		for _, n := range list {
			sorted = append(sorted, n.Distances[k])
		}
		slices.Sort(sorted)
		return sorted
	}
	sampleDistances, realDistances := at(nearest, 0), at(ofReal, k-1)
	d.OfSamples, d.OfReal = sampleDistances[len(sampleDistances)/2], realDistances[len(realDistances)/2]
	d.Closest = sampleDistances[0]
	closer, _ := slices.BinarySearch(realDistances, d.Closest)
	d.Closer = 100 * float64(closer) / float64(len(realDistances))
	return nil
}

// drawSheet draws, row by row, one of the first samples and one of those nearest
// to a training image, each before its neighbours, as a PNG file.
func drawSheet(ctx context.Context, samples, train Source, nearest []metrics.Neighbours) ([]byte, error) {
	order := make([]int, len(nearest))
	for i := range order {
		order[i] = i
	}
	closest := slices.Clone(order)
	slices.SortStableFunc(closest, func(a, b int) int {
		return cmp.Compare(nearest[a].Distances[0], nearest[b].Distances[0])
	})
	rows := min(sheetRows, len(nearest))
	shown, needed := []int{}, []int{}
	for row := range rows {
		shown = append(shown, order[row], closest[row])
	}
	for _, i := range shown {
		needed = append(needed, nearest[i].Indices...)
	}
	sampleImages, err := pick(ctx, samples, shown)
	if err != nil {
		return nil, err
	}
	trainImages, err := pick(ctx, train, needed)
	if err != nil {
		return nil, err
	}
	info, channels := samples.Info(), max(samples.Info().C, train.Info().C)
	var pixels []uint8
	cells := 0
	add := func(image []uint8) {
		if image == nil {
			image = slices.Repeat([]uint8{255}, channels*info.H*info.W)
		}
		pixels = append(pixels, slices.Repeat(image, channels*info.H*info.W/len(image))...)
		cells++
	}
	for at, i := range shown {
		if at%2 == 1 {
			add(nil)
		}
		add(sampleImages[i])
		add(nil)
		for _, j := range nearest[i].Indices {
			add(trainImages[j])
		}
	}
	columns := cells / rows
	var out bytes.Buffer
	err = png.Encode(&out, data.Grid(pixels, cells, channels, info.H, info.W, columns, max(1, sheetCell/info.W)))
	return out.Bytes(), err
}

// pick reads some images of a source.
func pick(ctx context.Context, source Source, indices []int) (map[int][]uint8, error) {
	sorted := slices.Clone(indices)
	slices.Sort(sorted)
	out := map[int][]uint8{}
	for _, i := range slices.Compact(sorted) {
		image, _, err := source.Read(ctx, i, 1)
		if err != nil {
			return nil, err
		}
		out[i] = image
	}
	return out, nil
}

func writeBytes(path string, content []byte) error {
	return checkpoint.WriteFileAtomic(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}
