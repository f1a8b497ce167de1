import torch
from torch import nn
from fixed_codec import Codec


def patches(n):
    base = torch.rand(n, 1, 1, 1)
    ramp = torch.linspace(0, 1, 8).view(1, 1, 1, 8)
    return base * ramp + 0.05 * torch.rand(n, 1, 8, 8)


def train(codec, epochs):
    opt = torch.optim.Adam(codec.parameters(), lr=2e-3)
    for epoch in range(epochs):
        x = patches(24)
        x_hat = codec(x)
        mse = nn.functional.mse_loss(x_hat, x)
        opt.zero_grad()
        mse.backward()
        opt.step()
        psnr = -10 * torch.log10(mse.detach())
        print(f"epoch {epoch}  psnr {psnr:.2f} dB")


torch.manual_seed(0)
codec = Codec(ch=8)
train(codec, 7)
