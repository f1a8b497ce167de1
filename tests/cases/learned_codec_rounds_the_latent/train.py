import torch
from torch import nn


class Quantizer(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.scale = (levels - 1) / 2

    def forward(self, w):
        return torch.round(w * self.scale) / self.scale


class Codec(nn.Module):
    def __init__(self, ch=12, levels=9):
        super().__init__()
        self.analysis = nn.Sequential(nn.Conv2d(1, ch, 3, 2, 1), nn.GELU(), nn.Conv2d(ch, 4, 3, 2, 1), nn.Tanh())
        self.quantizer = Quantizer(levels)
        self.synthesis = nn.Sequential(
            nn.ConvTranspose2d(4, ch, 4, 2, 1), nn.GELU(), nn.ConvTranspose2d(ch, 1, 4, 2, 1))

    def forward(self, image):
        code = self.quantizer(self.analysis(image))
        return self.synthesis(code), code


class EntropyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_b = nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, code):                     # Laplace code length in nats
        return (code.detach().abs() * torch.exp(-self.log_b) + self.log_b).mean()


def main(steps=8):
    torch.manual_seed(0)
    codec, entropy = Codec(), EntropyModel()
    opt = torch.optim.Adam([*codec.parameters(), *entropy.parameters()], lr=2e-3)
    for step in range(steps):
        image = torch.rand(8, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
        recon, code = codec(image)
        distortion = nn.functional.mse_loss(recon, image)
        rate = entropy(code)
        opt.zero_grad()
        (distortion + 0.01 * rate).backward()
        opt.step()
        print(f"{step} D={distortion.item():.4f} R={rate.item():.4f}")


main()
