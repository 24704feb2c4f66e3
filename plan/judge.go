package plan

import (
	"slices"

	"github.com/pagoda-go/pagoda/config"
)

// judge is the work, one pass of one image, of the networks that compare and score images.
type judge struct {
	distance float64 // of the reconstruction loss
	features float64 // under the discriminators
	heads    float64 // the discriminators
}

// judgeOf is the judge of images of the given resolution.
func judgeOf(c *config.Config, d config.Distill, resolution int) judge {
	seen := resolution
	if seen < 256 {
		seen = 224 // where pretrained networks see smaller images
	}
	var j judge
	if c.Features.Pretrained() {
		if slices.Contains(c.Features.Networks, config.EfficientNet) {
			j.features += efficientNet(seen)
			j.heads += multiScale([]int{64, 64, 128, 256}, seen/2, 128)
		}
		if slices.Contains(c.Features.Networks, config.DeiT) {
			j.features += deit(seen)
			j.heads += multiScale([]int{64, 64, 128, 256}, seen/2, 128)
		}
	} else {
		w, side := c.Features.Width, max(resolution, 32)
		widths := []int{w, 2 * w, 4 * w, 8 * w}
		j.features = classifier(c.Data.Channels, widths, side)
		if d.Discriminator == config.MultiScale {
			j.heads = multiScale(widths, side, 32)
		} else {
			j.heads = projection(widths, side, d.Heads)
		}
	}
	j.distance = j.features
	if d.Distance == config.LPIPS {
		j.distance = vgg(seen)
	}
	return j
}

// convolution is the work of a kernel×kernel convolution that ends in side×side.
func convolution(in, out, kernel, side int) float64 {
	return 2 * float64(in*out*kernel*kernel) * float64(side*side)
}

// classifier is features.Classifier.
func classifier(channels int, widths []int, side int) (work float64) {
	in := channels
	for i, out := range widths {
		work += convolution(in, out, 3, side>>i)
		if i > 0 {
			work += convolution(out, out, 3, side>>i)
		}
		in = out
	}
	return work
}

// efficientNet is features.Projected on EfficientNet-lite0, by the engine's count at 224 pixels.
func efficientNet(side int) float64 { return 836_857_344 * float64(side*side) / (224 * 224) }

// deit is features.Projected on DeiT-base: its twelve blocks, and by the engine's
// count the rest, a share of each patch.
func deit(side int) float64 {
	patches := float64(side / 16 * (side / 16))
	tokens := patches + 2
	return 12*(24*768*768*tokens+4*768*tokens*tokens) + 7_750_000*patches
}

// vgg is features.VGG16.
func vgg(side int) (work float64) {
	in := 3
	for i, out := range []int{64, 128, 256, 512, 512} {
		for range []int{2, 2, 3, 3, 3}[i] {
			work += convolution(in, out, 3, side>>i)
			in = out
		}
	}
	return work
}

// multiScale is gan.MultiScaleD with class embeddings, on maps of the given widths;
// the finest has side×side positions and counts as nominal×nominal.
func multiScale(widths []int, side, nominal int) (work float64) {
	for i, in := range widths {
		at := side >> i
		for n := nominal >> i; n > 8; n /= 2 {
			at /= 2
			out := 8192 / n // gan's table of widths
			work += convolution(in, out, 4, at)
			in = out
		}
		work += convolution(in, 64, 4, at-3)
	}
	return work
}

// projection is gan.ProjectionD.
func projection(widths []int, side, heads int) (work float64) {
	for i, in := range widths {
		at := side >> i
		work += convolution(in, in, 1, at)
		if i > 0 {
			work += convolution(in, widths[i-1], 1, at)
		}
		for ; at > 4; at /= 2 {
			work += convolution(in, heads, 3, at/2)
			in = heads
		}
		work += convolution(in, heads, 3, 4) + convolution(heads, 1, 3, 4)
	}
	return work
}
