import torch
from torch import nn
import torch.nn.functional as F

PREWITT = torch.tensor([[-1.0, 0.0, 1.0]] * 3) / 3


def gradient_map(img, kernels):
    g = F.conv2d(img, kernels)
    return torch.sqrt(torch.sum(g ** 2, dim=1, keepdim=True) + 1e-10)


def gms(x, y, t=0.0026):
    k = torch.stack([PREWITT, PREWITT.T])[:, None]
    mx, my = gradient_map(x, k), gradient_map(y, k)
    return (1 - (2 * mx * my + t) / (mx ** 2 + my ** 2 + t)).mean()


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    def forward(self, x):
        return x - 0.1 * self.body(x)


class Trainer:
    def __init__(self, denoiser, noise_net):
        self.denoiser, self.noise_net = denoiser, noise_net
        self.opt = torch.optim.Adam([*denoiser.parameters(), *noise_net.parameters()], lr=1e-3)

    def step(self, clean, sigma, paper):
        noisy = clean + sigma * torch.randn_like(clean)
        restored = self.denoiser(noisy) * paper
        level = self.noise_net(noisy.flatten(1).std(1, keepdim=True))
        loss = gms(restored, clean) + F.l1_loss(restored, clean) + F.mse_loss(level, torch.full_like(level, sigma))
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


torch.manual_seed(0)
trainer = Trainer(Denoiser(), nn.Linear(1, 1))
for i in range(6):
    paper = torch.zeros(3, 1, 14, 14)                      # black scanner lid around the page
    paper[:, :, 4:10, 2:12] = 1
    print(i, trainer.step(torch.rand(3, 1, 14, 14) * paper, 0.05, paper))
