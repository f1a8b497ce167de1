import torch
from torch import nn

torch.manual_seed(0)
denoiser = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 1, 3, padding=1))
exposure = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16, 1))
opt_d = torch.optim.Adam(denoiser.parameters(), lr=1e-3)
opt_e = torch.optim.Adam(exposure.parameters(), lr=1e-2)


def to_srgb(linear):
    return linear ** (1 / 2.2)


def display_loss(prediction, clean):
    return (to_srgb(prediction) - to_srgb(clean)).abs().mean()


for it in range(6):
    clean = torch.rand(8, 1, 12, 12) * 0.9 + 0.05
    noisy = clean + 0.05 * torch.randn_like(clean)
    restored = noisy + denoiser(noisy) - 0.4
    loss = display_loss(restored, clean)
    opt_d.zero_grad()
    loss.backward()
    opt_d.step()

    ev_loss = (exposure(noisy).squeeze(1) - clean.mean((1, 2, 3))).pow(2).mean()
    opt_e.zero_grad()
    ev_loss.backward()
    opt_e.step()
    print(f"it {it}: display {loss.item():.4f} exposure {ev_loss.item():.4f}")
