"""The paper's objective in plain PyTorch: feature networks, random projection, discriminators, augmentation.

Structure is that of timm's networks and of Projected GAN, as sony/pagoda uses them. Weights are random.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm

# ---- EfficientNet-Lite0


class ConvSame(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding."""

    def forward(self, x):
        pad = []
        for size, k, s in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((math.ceil(size / s) - 1) * s + k - size, 0)
            pad += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pad) if any(pad) else x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class ReLU6(nn.Module):
    """Autocast's CPU operators have no gradient of ReLU6 in bfloat16."""

    def forward(self, x):
        return F.relu6(x, inplace=True) if x.dtype == torch.float32 else x.clamp(0, 6)


def conv_norm(cin, cout, kernel, stride=1, groups=1, activate=True):
    if stride > 1:
        conv = ConvSame(cin, cout, kernel, stride, groups=groups, bias=False)
    else:
        conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2, groups=groups, bias=False)
    layers = [conv, nn.BatchNorm2d(cout, eps=1e-3)]
    return nn.Sequential(*layers, ReLU6()) if activate else nn.Sequential(*layers)


class Inverted(nn.Module):
    def __init__(self, cin, cout, kernel, stride, expand):
        super().__init__()
        wide = cin * expand
        widen = [conv_norm(cin, wide, 1)] if expand > 1 else []
        self.body = nn.Sequential(*widen, conv_norm(wide, wide, kernel, stride, wide), conv_norm(wide, cout, 1, activate=False))
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        return self.body(x) + x if self.residual else self.body(x)


class EfficientNet(nn.Module):
    channels = (24, 40, 112, 320)
    stages = (  # repeats, kernel, stride, expansion, channels
        (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
    )  # fmt: skip

    def __init__(self):
        super().__init__()
        self.stem, c, self.blocks = conv_norm(3, 32, 3, 2), 32, nn.ModuleList()
        for repeats, kernel, stride, expand, cout in self.stages:
            stage = []
            for i in range(repeats):
                stage.append(Inverted(c, cout, kernel, 1 if i else stride, expand))
                c = cout
            self.blocks.append(nn.Sequential(*stage))

    def forward(self, x):
        x, maps = self.stem(x), []
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in (1, 2, 4, 6):
                maps.append(x)
        return maps


# ---- DeiT-base, distilled


class EncoderBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attend(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        weight = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(dim=-1)
        return self.proj((weight @ v).transpose(1, 2).reshape(n, t, c))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, width=768, depth=12, heads=12, patch=16, grid=14):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.special = nn.Parameter(0.02 * torch.randn(1, 2, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 2 + grid * grid, width))
        self.blocks = nn.ModuleList(EncoderBlock(width, heads) for _ in range(depth))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x):
        """Images of tokens behind blocks 2, 5, 8 and 11."""
        x = self.patches((x / 2 + 0.5 - self.mean) / self.std)
        n, c, h, w = x.shape
        x = torch.cat([self.special.expand(n, -1, -1), x.flatten(2).transpose(1, 2)], dim=1) + self.positions
        out = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i % 3 == 2:
                out.append(x[:, 2:].transpose(1, 2).reshape(n, c, h, w))
        return out


class DeiT(nn.Module):
    """The reassembly of an encoder's tokens to four maps."""

    channels = (96, 192, 384, 768)

    def __init__(self, encoder):
        super().__init__()
        self.encoder, (a, b, c, d), width = encoder, self.channels, 768
        self.layers = nn.ModuleList([
            nn.Sequential(nn.Conv2d(width, a, 1), nn.ConvTranspose2d(a, a, 4, stride=4)),
            nn.Sequential(nn.Conv2d(width, b, 1), nn.ConvTranspose2d(b, b, 2, stride=2)),
            nn.Conv2d(width, c, 1),
            nn.Sequential(nn.Conv2d(width, d, 1), nn.Conv2d(d, d, 3, stride=2, padding=1)),
        ])  # fmt: skip

    def forward(self, x):
        return [layer(t) for layer, t in zip(self.layers, self.encoder(x))]


# ---- random projection, distance and discriminator


def seen(x):
    return F.interpolate(x, size=224, mode="bilinear") if x.shape[-1] < 256 else x


class Projected(nn.Module):
    """F_RandomProj: a frozen backbone, mixing across channels and across scales."""

    channels, sizes = (64, 64, 128, 256), (128, 64, 32, 16)

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.ccm = nn.ModuleList(nn.Conv2d(c, 64 << i, 1) for i, c in enumerate(backbone.channels))
        self.csm = nn.ModuleList(nn.Conv2d(64 << i, c, 1) for i, c in enumerate(self.channels))
        self.eval().requires_grad_(False)

    def forward(self, x):
        maps = [ccm(m) for ccm, m in zip(self.ccm, self.backbone(seen(x)))]
        for i in reversed(range(len(maps))):
            x = maps[i] if i == len(maps) - 1 else maps[i] + maps[i + 1]
            maps[i] = self.csm[i](F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
        return maps


def unit(x):
    return x / (x.norm(dim=1, keepdim=True) + 1e-10)


def distance(a, b):
    return sum(((unit(x.float()) - unit(y.float())) ** 2).sum(dim=1).mean(dim=(1, 2)) for x, y in zip(a, b))


WIDTHS = {8: 512, 16: 256, 32: 128, 64: 64, 128: 64}


class SingleDiscCond(nn.Module):
    def __init__(self, cin, size, classes, embed=320, dim=64):
        super().__init__()
        layers = []
        while size > 8:
            size //= 2
            conv = spectral_norm(nn.Conv2d(cin, WIDTHS[size], 4, stride=2, padding=1))
            layers += [conv, nn.BatchNorm2d(WIDTHS[size]), nn.LeakyReLU(0.2, inplace=True)]
            cin = WIDTHS[size]
        self.main = nn.Sequential(*layers)
        self.cls = spectral_norm(nn.Conv2d(cin, dim, 4, bias=False))
        self.embed = nn.Embedding(classes, embed)
        self.project = nn.Linear(embed, dim)
        nn.init.normal_(self.project.weight)

    def forward(self, x, labels):
        h = self.cls(self.main(x)).float()
        direction = F.linear(self.embed(labels), self.project.weight / math.sqrt(self.embed.embedding_dim), self.project.bias)
        direction = F.leaky_relu(direction, 0.2) * math.sqrt(2)
        return (h * direction[:, :, None, None]).sum(dim=1).flatten(1) / math.sqrt(direction.shape[1])


class MultiScaleD(nn.Module):
    def __init__(self, features, classes):
        super().__init__()
        self.heads = nn.ModuleList(SingleDiscCond(c, s, classes) for c, s in zip(features.channels, features.sizes))

    def forward(self, maps, labels):
        return torch.cat([head(m, labels) for head, m in zip(self.heads, maps)], dim=1).float()


# ---- DiffAugment


def draw(n, h, w):
    """The random numbers of n images of h×w, for one or several batches."""
    color = torch.rand(3, n, 1, 1, 1)
    shift = [torch.randint(-int(s / 8 + 0.5), int(s / 8 + 0.5) + 1, (n, 1, 1)) for s in (h, w)]
    box = [torch.randint(0, s + 1 - int(s * 0.2 + 0.5) % 2, (n, 1, 1)) for s in (h, w)]
    return color, shift, box


def augment(x, draws):
    (brightness, saturation, contrast), (dy, dx), (top, left) = draws
    n, _, h, w = x.shape
    x = x + (brightness - 0.5)
    mean = x.mean(dim=1, keepdim=True)
    x = (x - mean) * (saturation * 2) + mean
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - mean) * (contrast + 0.5) + mean
    i, row, column = torch.meshgrid(torch.arange(n), torch.arange(h), torch.arange(w), indexing="ij")
    r, c = (row + dy + 1).clamp(0, h + 1), (column + dx + 1).clamp(0, w + 1)
    x = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()[i, r, c].permute(0, 3, 1, 2)
    y, z = row - top + int(h * 0.2 + 0.5) // 2, column - left + int(w * 0.2 + 0.5) // 2
    inside = (y >= 0) & (y < int(h * 0.2 + 0.5)) & (z >= 0) & (z < int(w * 0.2 + 0.5))
    return x * (~inside)[:, None]


class Objective(nn.Module):
    """Critics of samples on both feature networks, and the distance cnn_vit, whose projections are its own."""

    def __init__(self, classes):
        super().__init__()
        vit, effnet = ViT(), EfficientNet()
        self.distances = nn.ModuleList([Projected(DeiT(vit)), Projected(effnet)])
        self.features = nn.ModuleList([Projected(DeiT(vit)), Projected(effnet)])
        self.critics = nn.ModuleList(MultiScaleD(f, classes) for f in self.features)

    def reconstruction(self, x, target):
        x, target, loss = seen(x), seen(target), 0
        for network in self.distances:
            d = draw(len(x), *x.shape[2:])
            with torch.no_grad():
                wanted = network(augment(target, d))
            loss = loss + distance(network(augment(x, d)), wanted)
        return loss.mean()

    def generator(self, x, labels):
        rows = [c(f(augment(x, draw(len(x), *x.shape[2:]))), labels).mean(dim=1) for f, c in zip(self.features, self.critics)]
        return -torch.cat(rows).mean()

    def discriminator(self, fake, real, fake_labels, real_labels):
        fakes, reals = [], []
        for f, critic in zip(self.features, self.critics):
            d = draw(len(fake), *fake.shape[2:])
            with torch.no_grad():
                maps = f(torch.cat([augment(fake, d), augment(real, d)]))
            fakes.append(F.relu(1 + critic([m[: len(fake)] for m in maps], fake_labels)).mean(dim=1))
            reals.append(F.relu(1 - critic([m[len(fake) :] for m in maps], real_labels)).mean(dim=1))
        return torch.cat(fakes).mean() + torch.cat(reals).mean()
