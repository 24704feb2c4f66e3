"""The work of stage/bench_test.go in plain PyTorch, as a person would write it.

    pytorch.py version
    pytorch.py WORK PRECISION SECONDS    time one of WORKS; prints a line as go test -bench does
    pytorch.py save PRESET WEIGHTS       write the weights of a preset's generator
    pytorch.py first PRESET WEIGHTS OUT  load them, sample one image, write it

Networks are NCHW and float32; bfloat16 is torch.autocast. Layers, shapes, batches and optimisers are those
of the preset. Nothing is fused by hand and nothing is left out. It uses all processors, GOMAXPROCS if set, or the
device that PAGODA_DEVICE names, which PyTorch 2 can.
"""

import copy
import math
import os
import sys
import time
import tomllib

import numpy as np
import paper
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm

SIGMA_DATA, SIGMA_MIN, SIGMA_MAX, RHO = 0.5, 0.002, 80.0, 7.0
CLASSES = 10
DEVICE = os.environ.get("PAGODA_DEVICE", "cpu")


def preset(name):
    """A preset, or a file beside this one, on top of what it is based on."""
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, name) if name.endswith(".toml") else os.path.join(here, "..", "config", "presets", name + ".toml")
    with open(path, "rb") as f:
        own = tomllib.load(f)
    c = preset(own.pop("base")) if "base" in own else {"grow": []}
    grown = own.pop("grow", [])
    for key, value in own.items():
        c[key] = {**c.get(key, {}), **value} if isinstance(value, dict) else value
    c["grow"] = c["grow"] + [{**c["distill"], **g} for g in grown]
    return c


# ---- the U-Net


def zeroed(module):
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


class GroupNorm(nn.GroupNorm):
    """Float32 whatever comes in, as in guided-diffusion: autocast does not know the operator."""

    def forward(self, x):
        return super().forward(x.float()).type(x.dtype)


class ResBlock(nn.Module):
    def __init__(self, cin, cout, emb, groups, film, resample=None, dropout=0):
        super().__init__()
        self.norm1 = GroupNorm(groups, cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.emb = nn.Linear(emb, 2 * cout if film else cout)
        self.norm2 = GroupNorm(groups, cout)
        self.conv2 = zeroed(nn.Conv2d(cout, cout, 3, padding=1))
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()
        self.film, self.resample, self.dropout = film, resample, nn.Dropout(dropout)

    def scale(self, x):
        if self.resample == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        if self.resample == "down":
            return F.avg_pool2d(x, 2)
        return x

    def forward(self, x, emb):
        h = self.conv1(self.scale(F.silu(self.norm1(x))))
        x = self.scale(x)
        e = self.emb(F.silu(emb))[:, :, None, None]
        if self.film:
            scale, shift = e.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        return self.skip(x) + self.conv2(self.dropout(F.silu(h)))


class Attention(nn.Module):
    def __init__(self, channels, head, groups, order):
        super().__init__()
        self.norm = GroupNorm(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj = zeroed(nn.Conv1d(channels, channels, 1))
        self.heads, self.order = channels // head, order

    def forward(self, x, _):
        n, c, h, w = x.shape
        qkv = self.qkv(self.norm(x).reshape(n, c, h * w))
        if self.order == "flash":
            q, k, v = (part.reshape(n * self.heads, c // self.heads, h * w) for part in qkv.chunk(3, dim=1))
        else:
            q, k, v = qkv.reshape(n * self.heads, 3 * c // self.heads, h * w).chunk(3, dim=1)
        scale = (c // self.heads) ** -0.25
        weight = torch.softmax(torch.einsum("bct,bcs->bts", q * scale, k * scale).float(), dim=-1).type(v.dtype)
        a = torch.einsum("bts,bcs->bct", weight, v).reshape(n, c, h * w)
        return x + self.proj(a).reshape(n, c, h, w)


class Block(nn.ModuleList):
    def forward(self, x, emb):
        for layer in self:
            x = layer(x, emb)
        return x


class Stem(nn.Conv2d):
    def forward(self, x, _):
        return super().forward(x)


class UNet(nn.Module):
    """ADM's U-Net; grow is a list of (channels, residual blocks) of levels above the base."""

    def __init__(self, image, ch, mult, blocks, attention, head, groups, grow=(), classes=CLASSES, order="legacy", dropout=0):
        super().__init__()
        self.ch, emb = ch, 4 * ch
        self.time = nn.Sequential(nn.Linear(ch, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label = nn.Embedding(classes, emb)

        def block(cin, cout, factor):
            layers = [ResBlock(cin, cout, emb, groups, True, None, dropout)]
            return layers + ([Attention(cout, head, groups, order)] if factor in attention else [])

        self.input, skips, c, factor = nn.ModuleList([Block([Stem(image, ch, 3, padding=1)])]), [ch], ch, 1
        for level, m in enumerate(mult):
            for _ in range(blocks):
                self.input.append(Block(block(c, int(m * ch), factor)))
                c = int(m * ch)
                skips.append(c)
            if level < len(mult) - 1:
                self.input.append(Block([ResBlock(c, c, emb, groups, True, "down", dropout)]))
                skips.append(c)
                factor *= 2
        first, last = (ResBlock(c, c, emb, groups, True, None, dropout) for _ in range(2))
        self.middle = Block([first, Attention(c, head, groups, order), last])
        self.output = nn.ModuleList()
        for level, m in reversed(list(enumerate(mult))):
            for i in range(blocks + 1):
                layers = block(c + skips.pop(), int(m * ch), factor)
                c = int(m * ch)
                if level > 0 and i == blocks:
                    layers.append(ResBlock(c, c, emb, groups, True, "up", dropout))
                    factor //= 2
                self.output.append(Block(layers))
        self.levels = [len(self.output) - blocks - 1]  # first output block of each resolution from the base's up
        for width, count in grow:
            self.levels.append(len(self.output))
            self.output.append(Block([ResBlock(c, width, emb, groups, False, "up")]))
            self.output.extend(Block([ResBlock(width, width, emb, groups, False)]) for _ in range(count))
            c = width
        self.norm = GroupNorm(groups, c)
        self.head = zeroed(nn.Conv2d(c, image, 3, padding=1))

    def forward(self, x, sigma, labels):
        half = self.ch // 2
        frequency = torch.exp(-math.log(10000) * torch.arange(half) / half)
        t = (250 * torch.log(sigma + 1e-44))[:, None] * frequency[None]
        emb = self.time(torch.cat([torch.cos(t), torch.sin(t)], dim=1)) + self.label(labels)
        skips, h = [], x
        for b in self.input:
            h = b(h, emb)
            skips.append(h)
        h = self.middle(h, emb)
        for b in self.output:
            if skips:
                h = torch.cat([h, skips.pop()], dim=1)
            h = b(h, emb)
        return self.head(F.silu(self.norm(h))).float()

    def freeze_below(self):
        """Leave only the previous highest resolution, what is above it and the head to train."""
        self.requires_grad_(False)
        for m in [*self.output[self.levels[-2] :], self.norm, self.head]:
            m.requires_grad_(True)


def network(c, growths, dropout=0):
    """The network of a configuration after so many growths."""
    n, levels, size = c["network"], [], c["network"]["resolution"]
    for g in c["grow"][:growths]:
        while size < g["resolution"]:
            levels.append((g["channels"], g["res_blocks"]))
            size *= 2
    attention = [n["resolution"] // r for r in n["attention"]]
    return UNet(
        c["data"]["channels"], n["channels"], n["mult"], n["res_blocks"], attention, n["head_channels"], n["groups"], levels,
        c["data"]["classes"], n.get("head_order", "legacy"), dropout,
    )  # fmt: skip


def denoise(net, x, sigma, labels):
    s = sigma[:, None, None, None]
    norm = torch.sqrt(s**2 + SIGMA_DATA**2)
    f = net(x / norm, sigma, labels)
    return SIGMA_DATA**2 / norm**2 * x + s * SIGMA_DATA / norm * f


def generate(net, z, labels):
    return net(z / math.sqrt(SIGMA_MAX**2 + SIGMA_DATA**2), torch.full((len(z),), SIGMA_MAX), labels)


# ---- feature network and discriminator


def conv_norm(cin, cout, stride):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(cout), nn.LeakyReLU(0.1))


class Features(nn.Module):
    def __init__(self, cin, width):
        super().__init__()
        self.scales = nn.ModuleList()
        for i in range(4):
            cout = width << i
            scale = [conv_norm(cin, cout, min(i + 1, 2))] + ([conv_norm(cout, cout, 1)] if i else [])
            self.scales.append(nn.Sequential(*scale))
            cin = cout
        self.eval().requires_grad_(False)

    def forward(self, x):
        if x.shape[-1] < 32:
            x = F.interpolate(x, size=32, mode="bilinear")
        maps = []
        for scale in self.scales:
            x = scale(x)
            maps.append(x)
        return maps


def unit(x):
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)


def distance(a, b):
    return sum(((unit(x.float()) - unit(y.float())) ** 2).sum(dim=1).mean(dim=(1, 2)) for x, y in zip(a, b))


def sn_conv(cin, cout, stride=1):
    return spectral_norm(nn.Conv2d(cin, cout, 3, stride=stride, padding=1))


class Head(nn.Module):
    def __init__(self, cin, size, width, gain):
        super().__init__()
        layers = []
        while size > 4:
            layers += [sn_conv(cin, width, 2), nn.LeakyReLU(0.2)]
            cin, size = width, size // 2
        self.main = nn.Sequential(*layers, sn_conv(cin, width), nn.LeakyReLU(0.2))
        self.score = sn_conv(width, 1)
        self.embed = spectral_norm(nn.Embedding(CLASSES, width))
        self.gain = gain

    def forward(self, x, labels):
        x = self.main(x) * self.gain
        return (self.score(x) + (x * self.embed(labels)[:, :, None, None]).sum(dim=1, keepdim=True)).flatten(1)


class Discriminator(nn.Module):
    def __init__(self, width, heads, gain):
        super().__init__()
        channels = [width << i for i in range(4)]
        self.mix = nn.ModuleList(nn.Conv2d(c, c, 1, bias=False) for c in channels)
        self.up = nn.ModuleList(nn.Conv2d(c, c // 2, 1, bias=False) for c in channels[1:])
        self.mix.requires_grad_(False)
        self.up.requires_grad_(False)
        self.heads = nn.ModuleList(Head(c, 32 >> i, heads, gain) for i, c in enumerate(channels))

    def forward(self, maps, labels):
        logits, coarser = [], None
        for i in reversed(range(len(maps))):
            x = self.mix[i](maps[i])
            if coarser is not None:
                x = (x + F.interpolate(self.up[i](coarser), scale_factor=2, mode="nearest")) * math.sqrt(0.5)
            coarser = x
            logits.append(self.heads[i](x, labels))
        return torch.cat(logits, dim=1).float()


def augment(x, options):
    """DiffAugment: translation by up to an eighth."""
    assert not options.get("color") and not options.get("cutout"), "only translation is written here"
    if not options.get("translation"):
        return x
    n, _, h, w = x.shape
    dy, dx = (torch.randint(-int(s / 8 + 0.5), int(s / 8 + 0.5) + 1, (n, 1, 1)) for s in (h, w))
    i, y, x_ = torch.meshgrid(torch.arange(n), torch.arange(h), torch.arange(w), indexing="ij")
    y, x_ = (y + dy + 1).clamp(0, h + 1), (x_ + dx + 1).clamp(0, w + 1)
    padded = F.pad(x, (1, 1, 1, 1), value=options.get("fill", 0))
    return padded.permute(0, 2, 3, 1).contiguous()[i, y, x_].permute(0, 3, 1, 2)


# ---- the steps: each function returns one step as a closure, and the images it handles


class Data:
    """As many random images as Fashion-MNIST has."""

    def __init__(self, c, n=60000):
        size = c["data"]["resolution"]
        self.pixels = np.random.default_rng(0).integers(0, 256, (n, c["data"]["channels"], size, size), np.uint8)
        self.labels = torch.arange(n) % c["data"]["classes"]

    def batch(self, n, size):
        index = torch.randint(len(self.labels), (n,))
        x = torch.from_numpy(self.pixels[index.cpu().numpy()]).to(DEVICE).float() / 127.5 - 1
        return F.interpolate(x, size=size, mode="area"), self.labels[index]


def optimizer(settings, params, lr):
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}[settings["optimizer"]]
    return kind(params, lr=lr, betas=(settings.get("beta1", 0.9), settings.get("beta2", 0.99)))


@torch.no_grad()
def average(target, source, rate):
    for t, p in zip(target.parameters(), source.parameters()):
        t.lerp_(p, 1 - rate)


def teacher(c, cast, images=60000):
    t, n, size = c["teacher"], c["teacher"]["batch"], c["network"]["resolution"]
    data, net = Data(c, images), network(c, 0, c["teacher"].get("dropout", 0))
    ema, opt = copy.deepcopy(net).requires_grad_(False), optimizer(t, net.parameters(), t["lr"])

    def step():
        x, labels = data.batch(n, size)
        sigma = torch.exp(t["sigma_mean"] + t["sigma_std"] * torch.randn(n))
        s = sigma[:, None, None, None]
        with cast():
            d = denoise(net, x + s * torch.randn_like(x), sigma, labels)
        weight = (s**2 + SIGMA_DATA**2) / (s * SIGMA_DATA) ** 2
        loss = (weight * (d - x) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        average(ema, net, t["ema"])

    return step, n


class InDomain:
    """The demo's objective: one small feature network and projection heads on it."""

    def __init__(self, c, settings):
        self.features = Features(c["data"]["channels"], c["features"]["width"])
        self.critics = Discriminator(c["features"]["width"], settings["heads"], settings["gain"])
        self.options = settings["augment"]

    def reconstruction(self, x, target):
        with torch.no_grad():
            wanted = self.features(target)
        return distance(self.features(x), wanted).mean()

    def generator(self, x, labels):
        return -self.critics(self.features(augment(x, self.options)), labels).mean()

    def discriminator(self, fake, real, fake_labels, real_labels):
        with torch.no_grad():
            maps = self.features(augment(torch.cat([fake, real]), self.options))
        logits = self.critics(maps, torch.cat([fake_labels, real_labels]))
        return F.relu(1 + logits[: len(fake)]).mean() + F.relu(1 - logits[len(fake) :]).mean()


def adversarial(c, cast, growth, images=60000):
    settings = c["grow"][growth - 1] if growth else c["distill"]
    data, net, classes = Data(c, images), network(c, growth), c["data"]["classes"]
    size = c["network"]["resolution"]
    latent = (c["data"]["channels"], size, size)
    latents = SIGMA_MAX * torch.randn(c["invert"].get("images") or len(data.labels), *latent)
    ema = copy.deepcopy(net).requires_grad_(False)
    if growth:
        net.freeze_below()
        size = settings["resolution"]
    objective = paper.Objective(classes) if c["features"].get("networks") else InDomain(c, settings)
    trained = [p for p in objective.critics.parameters() if p.requires_grad]
    opt_g = optimizer(settings, [p for p in net.parameters() if p.requires_grad], settings["lr"])
    opt_d = optimizer(settings, trained, settings["discriminator_lr"])
    n, r = settings["batch"], settings["reconstruct"]

    def prior():
        return SIGMA_MAX * torch.randn(n, *latent), torch.randint(classes, (n,))

    def step():
        for p in trained:
            p.requires_grad_(False)
        x, labels = data.batch(r, size)
        z, (fresh, fresh_labels) = latents[torch.randint(len(latents), (r,))], prior()
        with cast():
            out = generate(net, torch.cat([z, fresh]), torch.cat([labels, fresh_labels]))
            rec = objective.reconstruction(out[:r], x)
            adv = objective.generator(out[r:], fresh_labels)
        weight = settings["lambda"]
        if settings.get("balance") == "norms":
            norms = [torch.autograd.grad(v, net.head.weight, retain_graph=True)[0].norm() for v in (rec, adv)]
            weight = weight * (norms[0] / (norms[1] + 1e-4)).clamp(0.01, 10)
        opt_g.zero_grad()
        (rec + weight * adv).backward()
        opt_g.step()
        average(ema, net, settings["ema"])

        for p in trained:
            p.requires_grad_(True)
        fresh, fresh_labels = prior()
        x, labels = data.batch(n, size)
        with cast():
            with torch.no_grad():
                fake = generate(net, fresh, fresh_labels)
            loss = objective.discriminator(fake, x, fresh_labels, labels)
        opt_d.zero_grad()
        loss.backward()
        opt_d.step()

    return step, n


def invert(c, cast):
    v, data, net = c["invert"], Data(c), network(c, 0).requires_grad_(False)
    steps, n, start = 4, v["batch"], v["sigma_start"]
    path = [(start ** (1 / RHO) + i / (steps - 1) * (SIGMA_MAX ** (1 / RHO) - start ** (1 / RHO))) ** RHO for i in range(steps)]

    @torch.no_grad()
    def step():
        x, labels = data.batch(n, c["network"]["resolution"])
        x = x + start * torch.randn_like(x)
        slope = lambda x, s: (x - denoise(net, x, torch.full((n,), s), labels)) / s
        with cast():
            for now, after in zip(path, path[1:]):
                k = slope(x, now)
                x = x + (after - now) * (k + slope(x + (after - now) * k, after)) / 2
        return x.cpu().numpy()

    return step, n


def sampling(net, shape, n, cast):
    net.requires_grad_(False)
    z = SIGMA_MAX * torch.randn(n, *shape)
    labels = torch.zeros(n, dtype=torch.int64)

    @torch.no_grad()
    def step():
        with cast():
            return generate(net, z, labels).cpu().numpy()

    return step, n


def sample_demo(c, cast):
    size = c["network"]["resolution"]
    return sampling(network(c, len(c["grow"])), (c["data"]["channels"], size, size), 64, cast)


def sample_adm(c, cast):
    return sampling(UNet(3, 64, (1, 2, 3, 4), 2, (2, 4, 8), 64, 32), (3, 64, 64), 8, cast)


def sample_full(preset_name, n, cast):
    c = preset(preset_name)
    size = c["network"]["resolution"]
    return sampling(network(c, len(c["grow"])), (3, size, size), n, cast)


def teacher_full(n, cast):
    c = preset("imagenet-64")
    c["teacher"]["batch"] = n
    return teacher(c, cast, 256)


WORKS = {
    "Teacher": teacher,
    "Distill": lambda c, cast: adversarial(c, cast, 0),
    "Grow": lambda c, cast: adversarial(c, cast, len(c["grow"])),
    "Invert": invert,
    "SampleDemo": sample_demo,
    "SampleADM": sample_adm,
    "DistillPaper": lambda _, cast: adversarial(preset("paper.toml"), cast, 0, 256),
    "GrowPaper": lambda _, cast: adversarial(preset("paper.toml"), cast, 1, 256),
    "TeacherFull1": lambda _, cast: teacher_full(1, cast),
    "TeacherFull4": lambda _, cast: teacher_full(4, cast),
    "TeacherFull64": lambda _, cast: teacher_full(64, cast),
    "SampleFull1": lambda _, cast: sample_full("imagenet-64", 1, cast),
    "SampleFull4": lambda _, cast: sample_full("imagenet-64", 4, cast),
    "SampleFull64": lambda _, cast: sample_full("imagenet-64", 64, cast),
    "Sample512": lambda _, cast: sample_full("imagenet-512", 1, cast),
}


def measure(name, precision, seconds):
    cast = lambda: torch.autocast(DEVICE.split(":")[0], torch.bfloat16, enabled=precision == "bfloat16")
    step, images = WORKS[name](preset("demo"), cast)
    wait = (lambda: None) if DEVICE == "cpu" else torch.cuda.synchronize
    step()  # warms up
    wait()
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < seconds:
        step()
        wait()
        count += 1
    ns = (time.perf_counter() - start) / count * 1e9
    print(f"Benchmark{name}/{precision} {count} {ns:.0f} ns/op {images} images/op")


def first(c, weights, out):
    net = network(c, len(c["grow"]))
    net.load_state_dict(torch.load(weights))
    size = c["network"]["resolution"]
    with torch.no_grad():
        z = SIGMA_MAX * torch.randn(1, c["data"]["channels"], size, size)
        x = generate(net.eval(), z, torch.zeros(1, dtype=torch.int64))[0]
    pixels = ((x + 1) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    with open(out, "wb") as f:
        kind = "P5" if pixels.shape[2] == 1 else "P6"
        f.write(f"{kind} {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes())


def main(command, *args):
    torch.set_num_threads(int(os.environ.get("GOMAXPROCS") or os.cpu_count()))
    if DEVICE != "cpu":
        torch.set_default_device(DEVICE)
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32, as in Pagoda
    if command == "version":
        print(torch.__version__, torch.get_num_threads(), *[] if DEVICE == "cpu" else [torch.cuda.get_device_name()])
    elif command == "save":
        c = preset(args[0])
        torch.save(network(c, len(c["grow"])).state_dict(), args[1])
    elif command == "first":
        first(preset(args[0]), *args[1:])
    else:
        measure(command, args[0], float(args[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
