// Package fetch gets the published weights of the feature networks: a catalogue
// of files, their download, and the folder where they are kept.
package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is a published file of weights.
type File struct {
	Name  string // by which it is asked for
	About string // what it is, in a few words
	URL   string
	File  string // its name on disk

	// SHA256 is the checksum in hexadecimal digits, or their beginning where only
	// that is published: 8 digits in the file names of PyTorch's hub. Empty: none is.
	SHA256 string
}

// The names of LPIPS's files in the catalogue: the network and its linear heads.
const (
	VGG16 = "vgg16"
	LPIPS = "lpips_vgg"
)

// Catalogue are the files that can be fetched.
var Catalogue = []File{
	{
		Name: "tf_efficientnet_lite0", About: "EfficientNet-Lite0 on ImageNet (timm)",
		URL:  "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_lite0-0aa007d2.pth",
		File: "tf_efficientnet_lite0-0aa007d2.pth", SHA256: "0aa007d2",
	}, {
		Name: "deit_base_distilled_patch16_224", About: "DeiT-base, distilled, on ImageNet",
		URL:  "https://dl.fbaipublicfiles.com/deit/deit_base_distilled_patch16_224-df68dfff.pth",
		File: "deit_base_distilled_patch16_224-df68dfff.pth", SHA256: "df68dfff",
	}, {
		Name: VGG16, About: "VGG-16 on ImageNet (torchvision), for LPIPS",
		URL:  "https://download.pytorch.org/models/vgg16-397923af.pth",
		File: "vgg16-397923af.pth", SHA256: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
	}, {
		Name: LPIPS, About: "linear heads of LPIPS 0.1 on VGG-16",
		URL:  "https://github.com/richzhang/PerceptualSimilarity/raw/master/lpips/weights/v0.1/vgg.pth",
		File: "lpips_vgg.pth", SHA256: "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
	}, {
		Name: "dino_vits16", About: "ViT-S/16 trained by DINO",
		URL:  "https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth",
		File: "dino_deitsmall16_pretrain.pth",
	}, {
		Name: "inception", About: "InceptionV3 of FID (pytorch-fid)",
		URL:  "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
		File: "pt_inception-2015-12-05-6726825d.pth", SHA256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
	}, {
		Name: "inception_script", About: "InceptionV3 of FID as the TorchScript of StyleGAN and EDM",
		URL:  "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
		File: "inception-2015-12-05.pt", SHA256: "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
	},
}

// Lookup returns the file of that name in the catalogue.
func Lookup(name string) (File, error) {
	var names []string
	for _, f := range Catalogue {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return File{}, fmt.Errorf("there are no published weights %q: choose one of %s", name, strings.Join(names, ", "))
}

// Installed returns the path of the file of that name in [Folder], and the file.
// Its errors are those of [Lookup] and [File.Find].
func Installed(name string) (path string, f File, err error) {
	if f, err = Lookup(name); err != nil {
		return "", f, err
	}
	folder, err := Folder()
	if err != nil {
		return "", f, err
	}
	if path, err = f.Find(folder); errors.Is(err, ErrMissing) {
		err = fmt.Errorf("%w, or run pagoda features fetch %s", err, name)
	}
	return path, f, err
}

// Folder is where weights are kept unless another folder is named:
// pagoda/weights in the user's cache.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for weights: %w", err)
	}
	return filepath.Join(cache, "pagoda", "weights"), nil
}

// ErrMissing is the error of [File.Find] for weights that are not installed.
var ErrMissing = errors.New("the weights are not installed")

// Find returns the path of the file in the folder, or of the same weights in the
// form in which timm and others publish them too, Name.safetensors. When neither
// is there the error is [ErrMissing], and says where to get it and where to put it.
func (f File) Find(folder string) (string, error) {
	for _, name := range []string{f.File, f.Name + safetensors} {
		path := filepath.Join(folder, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("the weights %s: %w", f.Name, err)
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("the weights %s: %s is no file", f.Name, path)
		}
		return path, nil
	}
	return "", fmt.Errorf("%w: %s", ErrMissing, f.advice(folder))
}

const safetensors = ".safetensors"

// advice says how to install the file by hand.
func (f File) advice(folder string) string {
	return fmt.Sprintf("get %s and put it at %s, or the same weights at %s there", f.URL, filepath.Join(folder, f.File), f.Name+safetensors)
}
