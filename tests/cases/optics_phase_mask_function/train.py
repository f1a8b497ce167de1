import math
import torch
from torch import nn
import torch.nn.functional as F


class PhaseModulate(torch.autograd.Function):
    """(re, im) * exp(i * phase), with little memory"""

    @staticmethod
    def forward(ctx, re, im, phase):
        c, s = phase.cos(), phase.sin()
        ctx.save_for_backward(re, im, c, s)
        return re * c - im * s, re * s + im * c

    @staticmethod
    def backward(ctx, g_re, g_im):
        re, im, c, s = ctx.saved_tensors
        d_re = g_re * c + g_im * s
        d_im = -g_re * s + g_im * c
        return d_re, d_im, None


def propagate(re, im, kernel):
    spectrum = torch.fft.fft2(torch.complex(re, im)) * kernel
    field = torch.fft.ifft2(spectrum)
    return field.real, field.imag


class Optics(nn.Module):
    def __init__(self, size, layers=2):
        super().__init__()
        self.masks = nn.ParameterList(nn.Parameter(0.1 * torch.randn(size, size)) for _ in range(layers))
        f = torch.fft.fftfreq(size)
        self.register_buffer("kernel", torch.exp(1j * math.pi * 8 * (f[:, None] ** 2 + f[None] ** 2)))

    def forward(self, scene):
        re, im = scene.sqrt(), torch.zeros_like(scene)
        for mask in self.masks:
            re, im = propagate(*PhaseModulate.apply(re, im, mask), self.kernel)
        return re ** 2 + im ** 2


class Camera(nn.Module):
    def __init__(self, size=12):
        super().__init__()
        self.optics = Optics(size)
        self.reconstruct = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 1, 5, padding=2))

    def forward(self, scene):
        return self.reconstruct(self.optics(scene)[:, None])[:, 0]


if __name__ == "__main__":
    torch.manual_seed(9)
    camera = Camera()
    opt = torch.optim.Adam(camera.parameters(), lr=5e-3)
    for it in range(8):
        scene = torch.rand(8, 12, 12) + 0.1
        loss = F.mse_loss(camera(scene), scene)
        opt.zero_grad()
        loss.backward()
        opt.step()
        print(it, "%.5f" % loss.item())
