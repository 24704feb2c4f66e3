"""Makes the TorchScript modules of the tests: python3 make.py, with PyTorch."""
import torch


class Told(torch.nn.Module):
    """Takes uint8 images; answers with 12 features only when told to, as StyleGAN's Inception.

    Black images give NaN.
    """

    def forward(self, img, return_features: bool = False):
        x = torch.nn.functional.adaptive_avg_pool2d(img.to(torch.float32) / 255, [2, 2]).flatten(1)
        x = x / (x.sum(1, keepdim=True) > 0).to(torch.float32) * x.sum(1, keepdim=True).sign()
        if return_features:
            return x
        return x.sum(1, keepdim=True)


class Means(torch.nn.Module):
    """Takes normalised images; answers with their three means and the size, (N,4,1,1)."""

    def forward(self, x):
        size = torch.full([x.shape[0], 1], float(x.shape[2]), device=x.device)
        return torch.cat([x.mean([2, 3]), size], 1)[:, :, None, None]


torch.jit.script(Told()).save("told.pt")
torch.jit.script(Means()).save("means.pt")
