package stage

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pagoda-go/pagoda/diffusion"
	"github.com/pagoda-go/pagoda/features"
	"github.com/pagoda-go/pagoda/gan"
	"github.com/pagoda-go/pagoda/internal/golden"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/nn"
	"github.com/pagoda-go/pagoda/torch"
)

// numbers finds the integers after `key ` or `key=` in a metadata entry.
func numbers(t *testing.T, f *golden.File, entry, key string) (out []int) {
	t.Helper()
	match := regexp.MustCompile(`\b` + key + `[ =](\[[^]]*\]|\d+)`).FindStringSubmatch(f.Text(entry))
	if match == nil {
		t.Fatalf("metadata %s is %q: no %s", entry, f.Text(entry), key)
	}
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(match[1], -1) {
		v, _ := strconv.Atoi(digits)
		out = append(out, v)
	}
	return out
}

// stub is the backbone of a file: convolutions and ReLU, on images normalised as
// the real one's are, and its random mixing.
type stub struct {
	layers          []*nn.Conv2d
	mean, deviation []float32 // of images in [0,1]
	mixing          *features.Projection
}

func newStub(t *testing.T, f *golden.File, kind, name string) *stub {
	channels, strides := numbers(t, f, "stub_backbone", "channels"), numbers(t, f, "stub_backbone", "stride")
	n := &stub{mean: []float32{0.5, 0.5, 0.5}, deviation: []float32{0.5, 0.5, 0.5}}
	if strings.HasPrefix(name, "deit") {
		n.mean, n.deviation = []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
	}
	params := nn.NewBlankParams(f.Scope)
	in := 3
	for i, out := range channels {
		at := params.Root().At("pretrained", fmt.Sprintf("layer%d", i), 0)
		kernel := f.Tensor(fmt.Sprintf("param.%s.%s.pretrained.layer%d.0.weight", kind, name, i)).Dim(2)
		n.layers = append(n.layers, nn.NewConv2d(at, in, out, kernel, torch.ConvOptions{Stride: strides[i]}))
		in = out
	}
	n.mixing = features.NewProjection(params.Root().At("scratch"), channels, numbers(t, f, "projector", "cout")[0], strings.Contains(f.Text("projector"), "expand=True"))
	f.Load(params, "param."+kind+"."+name+".")
	params.Freeze()
	return n
}

func (n *stub) Channels() []int { return n.mixing.Channels() }

func (n *stub) Maps(s *torch.Scope, x *torch.Tensor) []*torch.Tensor {
	x = s.Scale(s.Affine(x, 1, 1), 0.5)
	x = features.Seen(s, s.Div(s.Sub(x, s.FromFloat32(n.mean, 1, 3, 1, 1)), s.FromFloat32(n.deviation, 1, 3, 1, 1)))
	var maps []*torch.Tensor
	for _, l := range n.layers {
		x = s.ReLU(l.Forward(s, x))
		maps = append(maps, x)
	}
	return n.mixing.Mix(s, maps)
}

// A whole step of the reference: losses, weight, gradients and states of the
// generator's and of the discriminators' half, without and with augmentation.
func TestGoldenStep(t *testing.T) {
	golden.Run(t, func(t *testing.T, f *golden.File) {
		names := regexp.MustCompile(`'(\w+)'`).FindAllStringSubmatch(f.Text("backbone_names"), -1)
		for _, prefix := range []string{"noaug.", "aug."} {
			step{T: t, f: f, prefix: prefix, names: names}.compare()
		}
	}, "pgd_step")
}

type step struct {
	*testing.T
	f      *golden.File
	prefix string
	names  [][]string
}

// objective builds that of the file, with discriminators as stored.
func (p step) objective() (*objective, *nn.Params) {
	params := nn.NewParams(p.f.Scope, 0)
	o := &objective{loss: gan.Hinge, lambda: p.f.Number("discriminator_weight"), balance: gan.Norms}
	var networks []features.Network
	for _, name := range p.names {
		networks = append(networks, newStub(p.T, p.f, "feature_extractor", name[1]))
		judged := newStub(p.T, p.f, "discriminator_feature_extractor", name[1])
		embed := p.f.Tensor("param.discriminator." + name[1] + ".mini_discs.0.embed.weight").Shape()
		head := gan.HeadConfig{
			Width: numbers(p.T, p.f, "disc", "ndf")[0], MapDim: numbers(p.T, p.f, "disc", "cmap_dim")[0], Classes: embed[0], EmbedDim: embed[1],
		}
		d := gan.NewMultiScaleD(params.Root().At(name[1]), judged.Channels(), numbers(p.T, p.f, "disc", "resolutions"), head)
		o.critics = append(o.critics, critic{judged, d, true})
	}
	o.distance = features.NewProjectedMetric(networks...)
	p.f.Load(params, "param.discriminator.")
	return o, params
}

// augmentation is the recorded one of a part of the step.
func (p step) augmentation(part string) augmentation {
	if p.prefix != "aug." {
		return nil
	}
	return func(s *torch.Scope, network int, x *torch.Tensor) *torch.Tensor {
		at := p.prefix + "in.aug." + part + "." + p.names[network][1] + "."
		pairs := func(name string) (out [][2]int) {
			a, b := p.f.Ints(at+name+"_x"), p.f.Ints(at+name+"_y")
			for i := range a {
				out = append(out, [2]int{int(a[i]), int(b[i])})
			}
			return out
		}
		return gan.DiffAugment{}.Apply(s, x, gan.Draws{
			Brightness: p.f.Floats(at + "brightness"), Saturation: p.f.Floats(at + "saturation"), Contrast: p.f.Floats(at + "contrast"),
			Translation: pairs("translation"), Cutout: pairs("offset"),
		})
	}
}

func (p step) compare() {
	f := p.f
	u, params := f.Params().UNet()
	last := network.LastConvolution(params)
	if stored := params.Tensor(f.Text("last_layer")); stored != last {
		p.Errorf("the last layer is not %s", f.Text("last_layer"))
	}
	root := f.Scope.Child()
	defer root.Close()
	g := root.WithGrad()
	defer g.Close()
	labels := f.Ints("in.y")
	x := f.Tensor("in.x_start")
	o, critics := p.objective()

	both := append(slices.Clone(labels), labels...)
	made := diffusion.Generate(g, u, g.Cat(0, g.Permute(f.Tensor("in.z"), 0, 3, 1, 2), g.Scale(f.Tensor("in.fake_noise_G"), f.Number("sigma_max"))), both)
	v := o.judge(g, batch{images: made, targets: x, labels: both, distance: p.augmentation("recon"), sampled: p.augmentation("gan_G")},
		func(dx *torch.Tensor) *torch.Tensor { return g.VJPRetain(made, dx, []*torch.Tensor{last})[0] }, nil)
	measured := map[string]float64{}
	for _, m := range v.measured {
		measured[m.name] = m.value.Item()
	}
	out := func(name string, got float64, tolerance float64) {
		f.CompareFloats(p.prefix+"out."+name, []float64{got}, tolerance, 0)
	}
	distances := f.Floats(p.prefix + "out.recon_loss")
	mean := 0.
	for _, d := range distances {
		mean += float64(d) / float64(len(distances))
	}
	if off := math.Abs(measured["reconstruction"]/mean - 1); off > 2e-4 {
		p.Errorf("%sreconstruction loss off by %g", p.prefix, off)
	}
	f.Compare(p.prefix+"out.recon_image", g.Narrow(made, 0, 0, len(labels)), 2e-4, 0)
	out("loss1_grad_norm", torch.Norm([]*torch.Tensor{v.atLast}), 1e-3)
	out("g_loss", measured["adversarial"], 2e-4)
	out("adaptive_weight", measured["lambda"]/o.lambda, 1e-3)
	out("discriminator_loss_G", measured["adversarial"]*measured["lambda"]/o.lambda, 1e-3)
	out("total_loss", measured["reconstruction"]+measured["adversarial"]*measured["lambda"], 1e-3)
	grads := g.VJP(made, v.gradient, params.Trainable())
	out("grad_norm_decoder", torch.Norm(grads), 2e-3)
	f.CompareGradients(p.prefix, ".decoder.", params.Names(), grads, 2e-3)
	p.states(critics, "postG.discriminator.")

	o, critics = p.objective()
	off := g.NoGrad()
	defer off.Close()
	fake := diffusion.Generate(off, u, off.Scale(f.Tensor("in.fake_noise_D"), f.Number("sigma_max")), labels)
	loss, _, _ := o.discriminate(g, o.critics, fake, x, labels, labels, p.augmentation("gan_D"))
	out("discriminator_loss_D", loss.Item(), 2e-4)
	trained := critics.Trainable()
	var names []string
	for _, name := range critics.Names() {
		if critics.Tensor(name).RequiresGrad() {
			names = append(names, name)
		}
	}
	gradients := g.Grad(loss, trained)
	out("grad_norm_discriminator", torch.Norm(gradients), 5e-3)
	f.CompareGradients(p.prefix, ".discriminator.", names, gradients, 5e-3)
	p.states(critics, "postD.discriminator.")
}

// states compares what discriminators keep besides their weights.
func (p step) states(critics *nn.Params, kind string) {
	for _, name := range critics.Names() {
		if full := p.prefix + kind + name; p.f.Has(full) {
			p.f.Compare(full, critics.Tensor(name), 1e-4, 0)
		}
	}
}
