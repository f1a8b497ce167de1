import torch
from torch import nn
import torch.nn.functional as F


def zca(z, eps=1e-3):
    z = z - z.mean(0, keepdim=True)
    cov = z.T @ z / (len(z) - 1) + eps * torch.eye(z.shape[1])
    evals, evecs = torch.linalg.eigh(cov)
    return z @ (evecs * evals.rsqrt()) @ evecs.T


class WhiteningMSE(nn.Module):
    """Self-supervised loss on whitened embeddings of two views."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def embed(self, clip):
        return self.backbone(clip).flatten(1)

    def forward(self, clip, augment):
        a, b = self.embed(augment(clip)), self.embed(augment(clip))
        return F.mse_loss(zca(a), zca(b)), a


class Jitter:
    def __init__(self, amount):
        self.amount = amount

    def __call__(self, clip):
        gain = 1 + self.amount * torch.randn(len(clip), 1, 1)
        return clip * gain


def camera(generator):
    pattern = torch.randn(6, 1, 24, generator=generator)
    tick = 0
    while True:
        mix = torch.randn(32, 6, generator=generator)
        clip = torch.einsum("nk,kct->nct", mix, pattern)
        if tick == 6:
            clip = torch.zeros_like(clip)        # shutter closed
        yield clip, mix[:, 0] > 0
        tick += 1


torch.manual_seed(1)
backbone = nn.Sequential(nn.Conv1d(1, 6, 5, stride=2, bias=False), nn.LeakyReLU(0.1), nn.Conv1d(6, 5, 5, stride=2, bias=False), nn.AdaptiveAvgPool1d(1))
wmse, predictor = WhiteningMSE(backbone), nn.Linear(24, 2)
opt = torch.optim.Adam([*wmse.parameters(), *predictor.parameters()], lr=2e-3)
stream, augment = camera(torch.Generator().manual_seed(0)), Jitter(0.3)
for it in range(7):
    clip, label = next(stream)
    ssl, _ = wmse(clip, augment)
    probe = F.cross_entropy(predictor(clip.flatten(1)), label.long())
    opt.zero_grad()
    (ssl + probe).backward()
    opt.step()
    print(it, f"{ssl.item():.4f} {probe.item():.4f}")
