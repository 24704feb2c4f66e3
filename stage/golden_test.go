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

// numbers finds the integers after `key ` or `key=` in a metadata entry; nil when there are none.
func numbers(t *testing.T, f *golden.File, entry, key string) (out []int) {
	t.Helper()
	match := regexp.MustCompile(`\b` + key + `[ =](\[[^]]*\]|\d+)`).FindStringSubmatch(f.Text(entry))
	if match == nil {
		return nil
	}
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(match[1], -1) {
		v, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// normalisation are the mean and the deviation of images in [0,1] for a backbone.
func normalisation(t *testing.T, f *golden.File, backbone string) (mean, deviation []float32) {
	t.Helper()
	for part := range strings.SplitSeq(f.Text("normstats"), ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), ":")
		if !strings.HasPrefix(backbone, name) {
			continue
		}
		if strings.Contains(text, "imagenet") {
			return []float32{0.485, 0.456, 0.406}, []float32{0.229, 0.224, 0.225}
		}
		var m, d float32
		if _, err := fmt.Sscanf(strings.TrimSpace(text), "mean %g std %g", &m, &d); err == nil {
			return []float32{m, m, m}, []float32{d, d, d}
		}
	}
	t.Fatalf("metadata normstats is %q: nothing for %s", f.Text("normstats"), backbone)
	return nil, nil
}

// stub is the backbone of a file: convolutions and ReLU, on images normalised as
// the real one's are, and its random mixing. Sizes are those of the stored weights.
type stub struct {
	layers          []*nn.Conv2d
	mean, deviation []float32 // of images in [0,1]
	mixing          *features.Projection
}

func newStub(t *testing.T, f *golden.File, kind, name string) *stub {
	n := &stub{}
	n.mean, n.deviation = normalisation(t, f, name)
	strides := numbers(t, f, "stub_backbone", "stride")
	stored := "param." + kind + "." + name + "."
	params := nn.NewBlankParams(f.Scope)
	var channels []int
	for i := 0; ; i++ {
		weight := fmt.Sprintf("pretrained.layer%d.0.weight", i)
		if !f.Has(stored + weight) {
			break
		}
		if len(strides) == 0 || (len(strides) > 1 && i >= len(strides)) {
			t.Fatalf("metadata stub_backbone is %q: no stride of layer %d", f.Text("stub_backbone"), i)
		}
		shape := f.Tensor(stored + weight).Shape()
		at := params.Root().At("pretrained", fmt.Sprintf("layer%d", i), 0)
		n.layers = append(n.layers, nn.NewConv2d(at, shape[1], shape[0], shape[2], torch.ConvOptions{Stride: strides[min(i, len(strides)-1)]}))
		channels = append(channels, shape[0])
	}
	width := func(i int) int { return f.Tensor(fmt.Sprintf("%sscratch.layer%d_ccm.weight", stored, i)).Dim(0) }
	n.mixing = features.NewProjection(params.Root().At("scratch"), channels, width(0), width(1) != width(0))
	f.Load(params, stored)
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
		var names []string
		f.Decode("backbone_names", &names)
		steps := 0
		for _, name := range f.Names() {
			if prefix, ok := strings.CutSuffix(name, "out.recon_loss"); ok {
				(&step{T: t, f: f, prefix: prefix, names: names}).compare()
				steps++
			}
		}
		if steps == 0 {
			t.Error("no *out.recon_loss in the file")
		}
	}, "pgd_step")
}

type step struct {
	*testing.T
	f      *golden.File
	prefix string
	names  []string
	sums   []float64 // of the logits of every image, network by network, as the critics are asked
}

// summing notes the sums of a discriminator's logits.
type summing struct {
	gan.Discriminator
	sums *[]float64
}

func (d summing) Logits(s *torch.Scope, maps []*torch.Tensor, labels []int64, train bool) *torch.Tensor {
	logits := d.Discriminator.Logits(s, maps, labels, train)
	for row := range slices.Chunk(logits.Float64s(), logits.Dim(1)) {
		sum := 0.
		for _, v := range row {
			sum += v
		}
		*d.sums = append(*d.sums, sum)
	}
	return logits
}

// objective builds that of the file, with discriminators as stored.
func (p *step) objective() (*objective, *nn.Params) {
	f := p.f
	params := nn.NewParams(f.Scope, 0)
	o := &objective{loss: gan.Hinge, lambda: f.Number("discriminator_weight"), balance: gan.Norms}
	head := gan.HeadConfig{}
	if width := numbers(p.T, f, "disc", "ndf"); width != nil {
		head.Width = width[0]
	}
	if f.Text("projector") != "" && !slices.Equal(numbers(p.T, f, "projector", "proj_type"), []int{2}) {
		p.Fatalf("metadata projector is %q: only proj_type=2 is known", f.Text("projector"))
	}
	p.sums = nil
	var networks []features.Network
	for _, name := range p.names {
		networks = append(networks, newStub(p.T, f, "feature_extractor", name))
		judged := newStub(p.T, f, "discriminator_feature_extractor", name)
		if first := "param.discriminator." + name + ".mini_discs.0."; f.Has(first + "embed.weight") {
			embed := f.Tensor(first + "embed.weight").Shape()
			head.Classes, head.EmbedDim = embed[0], embed[1]
			head.MapDim = f.Tensor(first + "embed_proj.weight").Dim(0)
		}
		d := gan.NewMultiScaleD(params.Root().At(name), judged.Channels(), numbers(p.T, f, "disc", "resolutions"), head)
		o.critics = append(o.critics, critic{judged, summing{d, &p.sums}, true})
	}
	o.distance = features.NewProjectedMetric(networks...)
	f.Load(params, "param.discriminator.")
	return o, params
}

// augmentation is the recorded one of a part of the step, nil when there is none.
func (p *step) augmentation(part string) augmentation {
	at := func(network int) string { return p.prefix + "in.aug." + part + "." + p.names[network] + "." }
	if !p.f.Has(at(0) + "brightness") {
		return nil
	}
	return func(s *torch.Scope, network int, x *torch.Tensor) *torch.Tensor {
		return p.f.Draws(at(network)).Augment(s, x, func(x *torch.Tensor, d golden.Draws) *torch.Tensor {
			return gan.DiffAugment{}.Apply(s, x, gan.Draws(d))
		})
	}
}

func (p *step) compare() {
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
	edm, high := diffusion.Preconditioning{Process: diffusion.VE{}, SigmaData: f.NumberOr("sigma_data", diffusion.SigmaData)}, f.Number("sigma_max")
	o, critics := p.objective()

	both := append(slices.Clone(labels), labels...)
	made := edm.OneStep(g, u, g.Cat(0, g.Permute(f.Tensor("in.z"), 0, 3, 1, 2), g.Scale(f.Tensor("in.fake_noise_G"), high)), high, both)
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
	f.CompareFloats(p.prefix+"out.logits_fake_G.sum_per_row", p.sums, 2e-4, 0)
	f.Compare(p.prefix+"out.recon_image", g.Narrow(made, 0, 0, len(labels)), 2e-4, 0)
	out("loss1_grad_norm", torch.Norm([]*torch.Tensor{v.atLast}), 1e-3)
	out("g_loss", measured["adversarial"], 2e-4)
	out("adaptive_weight", measured["lambda"]/o.lambda, 1e-3)
	out("discriminator_loss_G", measured["adversarial"]*measured["lambda"]/o.lambda, 1e-3)
	out("total_loss", measured["reconstruction"]+measured["adversarial"]*measured["lambda"], 1e-3)
	grads := g.VJP(made, v.gradient, params.Trainable())
	out("grad_norm_decoder", torch.Norm(grads), 2e-3)
	f.CompareGradients(p.prefix, ".decoder.", params.Names(), grads, 2e-3)
	states := p.states(critics, "postG.discriminator.")

	o, critics = p.objective()
	off := g.NoGrad()
	defer off.Close()
	fake := edm.OneStep(off, u, off.Scale(f.Tensor("in.fake_noise_D"), high), high, labels)
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
	if states+p.states(critics, "postD.discriminator.") == 0 {
		p.Errorf("no %spost* in the file", p.prefix)
	}
}

// states compares what discriminators keep besides their weights, and returns how much that was.
func (p *step) states(critics *nn.Params, kind string) (compared int) {
	stored := 0
	for _, name := range critics.Names() {
		if full := p.prefix + kind + name; p.f.Has(full) {
			p.f.Compare(full, critics.Tensor(name), 1e-4, 0)
			compared++
		}
	}
	for _, name := range p.f.Names() {
		if strings.HasPrefix(name, p.prefix+kind) {
			stored++
		}
	}
	if compared != stored {
		p.Errorf("%d states compared of %d stored as %s%s*", compared, stored, p.prefix, kind)
	}
	return compared
}
