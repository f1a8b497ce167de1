import argparse

import torch
import torch.nn as nn


def get_args():
    ap = argparse.ArgumentParser()
    ap.add_argument("--size", type=int, default=256)
    ap.add_argument("--batch", type=int, default=2)
    ap.add_argument("--w-photo", type=float, default=0.01)
    ap.add_argument("--iters", type=int, default=6)
    return ap.parse_args([])


def photometric(pred, target):
    # the maps are big, half is enough to compare them
    a, b = pred.half(), target.half()
    return (a - b).abs().mean()


class Refiner(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.c1 = nn.Conv2d(3, ch, 3, padding=1)
        self.c2 = nn.Conv2d(ch, 3, 3, padding=1)

    def forward(self, x):
        return x + self.c2(torch.relu(self.c1(x)))


class Exposure(nn.Module):
    """Global gain per image, supervised by the known exposure."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 1)

    def forward(self, x):
        stats = torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)
        return self.fc(stats).squeeze(1)


args = get_args()
torch.manual_seed(17)
refiner, exposure = Refiner(), Exposure()
opt = torch.optim.Adam([{"params": refiner.parameters()}, {"params": exposure.parameters(), "lr": 1e-2}], lr=1e-3)

for it in range(args.iters):
    clean = torch.rand(args.batch, 3, args.size, args.size)
    ev = torch.rand(args.batch) + 0.5
    shot = clean * ev[:, None, None, None] + 0.05 * torch.randn_like(clean)
    refined = refiner(shot)
    photo = photometric(refined, clean)
    gain = (exposure(shot) - ev).pow(2).mean()
    loss = args.w_photo * photo.float() + gain
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(it, "photo", round(photo.item(), 4), "gain", round(gain.item(), 4))
