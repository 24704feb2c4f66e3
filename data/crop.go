package data

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// CenterCrop returns the middle square of an image at the given resolution, as
// (channels,resolution,resolution) with 1 channel (grey) or 3 (RGB).
// Transparent pixels show white. Sides are halved by averaging while the
// shorter one is at least twice the resolution, then scaled by bicubic
// interpolation: center_crop_arr of guided-diffusion's image_datasets.py, in
// Pillow's arithmetic.
func CenterCrop(img image.Image, resolution, channels int) []uint8 {
	r := rasterize(img, channels)
	for min(r.h, r.w) >= 2*resolution {
		r = r.resize(r.h/2, r.w/2, box)
	}
	scale := float64(resolution) / float64(min(r.h, r.w))
	r = r.resize(scaled(r.h, scale), scaled(r.w, scale), bicubic)
	return r.crop(resolution)
}

// scaled rounds halves to even, as Python does.
func scaled(side int, scale float64) int {
	return int(math.RoundToEven(float64(side) * scale))
}

// crop returns the middle square, (C,side,side).
func (r raster) crop(side int) []uint8 {
	top, left := (r.h-side)/2, (r.w-side)/2
	planes := make([]uint8, r.c*side*side)
	for c := range r.c {
		for y := range side {
			for x := range side {
				planes[(c*side+y)*side+x] = r.pix[((top+y)*r.w+left+x)*r.c+c]
			}
		}
	}
	return planes
}

// rasterize returns an image's pixels on white, in 1 or 3 channels.
func rasterize(img image.Image, channels int) raster {
	bounds := img.Bounds()
	canvas := image.NewRGBA(image.Rect(0, 0, bounds.Dx(), bounds.Dy()))
	draw.Draw(canvas, canvas.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(canvas, canvas.Rect, img, bounds.Min, draw.Over)
	r := raster{bounds.Dy(), bounds.Dx(), channels, make([]uint8, 0, bounds.Dx()*bounds.Dy()*channels)}
	for i := 0; i < len(canvas.Pix); i += 4 {
		red, green, blue := canvas.Pix[i], canvas.Pix[i+1], canvas.Pix[i+2]
		if channels == 1 {
			r.pix = append(r.pix, luma(red, green, blue))
		} else {
			r.pix = append(r.pix, red, green, blue)
		}
	}
	return r
}

// luma is the grey value of ITU-R 601 in Pillow's arithmetic.
func luma(r, g, b uint8) uint8 {
	return uint8((19595*int(r) + 38470*int(g) + 7471*int(b) + 1<<15) >> 16)
}
