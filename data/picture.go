package data

import (
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/pagoda-go/pagoda/checkpoint"
	"golang.org/x/image/draw"
)

// gutter is the white space around the pictures of a grid, in pixels.
const gutter = 2

// ToImages returns each of n images (n,c,h,w), with c 1 (grey) or 3 (RGB), as a picture.
func ToImages(pixels []uint8, n, c, h, w int) []image.Image {
	pictures := make([]image.Image, n)
	for i := range pictures {
		planes := pixels[i*c*h*w:][:c*h*w]
		if c == 1 {
			grey := image.NewGray(image.Rect(0, 0, w, h))
			copy(grey.Pix, planes)
			pictures[i] = grey
			continue
		}
		rgb := image.NewRGBA(image.Rect(0, 0, w, h))
		for p := range h * w {
			copy(rgb.Pix[4*p:], []uint8{planes[p], planes[h*w+p], planes[2*h*w+p], 255})
		}
		pictures[i] = rgb
	}
	return pictures
}

// Grid returns a sheet of n images (n,c,h,w), with c 1 (grey) or 3 (RGB), row
// by row in the given number of columns, each pixel enlarged to scale×scale.
func Grid(pixels []uint8, n, c, h, w, columns, scale int) image.Image {
	rows := (n + columns - 1) / columns
	right, down := w*scale+gutter, h*scale+gutter
	bounds := image.Rect(0, 0, columns*right+gutter, rows*down+gutter)
	var sheet draw.Image = image.NewGray(bounds)
	if c == 3 {
		sheet = image.NewRGBA(bounds)
	}
	draw.Draw(sheet, bounds, image.NewUniform(color.White), image.Point{}, draw.Src)
	for i, picture := range ToImages(pixels, n, c, h, w) {
		corner := image.Pt(gutter+i%columns*right, gutter+i/columns*down)
		cell := image.Rectangle{Min: corner, Max: corner.Add(image.Pt(w*scale, h*scale))}
		draw.NearestNeighbor.Scale(sheet, cell, picture, picture.Bounds(), draw.Src, nil)
	}
	return sheet
}

// WritePNG writes a picture as a PNG file, atomically.
func WritePNG(path string, img image.Image) error {
	return checkpoint.WriteFileAtomic(path, func(w io.Writer) error {
		return png.Encode(w, img)
	})
}
