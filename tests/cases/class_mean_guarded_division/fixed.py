import torch
from torch import nn
import torch.nn.functional as F

NAMES = ("road", "roof", "tree", "water")


class Down(nn.Sequential):
    def __init__(self, a, b):
        super().__init__(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(2, b), nn.ReLU(inplace=True))


class MiniUNet(nn.Module):
    def __init__(self, n_classes, width=8):
        super().__init__()
        self.inc = nn.Conv2d(3, width, 3, padding=1)
        self.down = Down(width, 2 * width)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, n_classes, 1)

    def forward(self, x):
        skip = F.relu(self.inc(x))
        return self.out(torch.cat([skip, F.relu(self.up(self.down(skip)))], 1))


def balanced_ce(logits, target):
    """Average of the per-class cross entropies, classes that are absent count as 0."""
    pixel = F.cross_entropy(logits, target, reduction="none")
    member = F.one_hot(target, logits.shape[1]).permute(3, 0, 1, 2).to(pixel)
    total, area = (member * pixel).sum((1, 2, 3)), member.sum((1, 2, 3))
    per_class = torch.where(area > 0, total / area.clamp(min=1), torch.zeros_like(area))
    return per_class.mean(), dict(zip(NAMES, per_class.tolist()))


def patches(n, with_water):
    kinds = 4 if with_water else 3
    coarse = torch.randint(0, kinds, (n, 4, 4))
    target = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    palette = torch.tensor([[0.5, 0.5, 0.5], [0.8, 0.3, 0.2], [0.2, 0.7, 0.2], [0.1, 0.2, 0.8]])
    return palette[target].permute(0, 3, 1, 2) + 0.1 * torch.randn(n, 3, 16, 16), target


torch.manual_seed(13)
unet = MiniUNet(len(NAMES))
opt = torch.optim.AdamW(unet.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=20)
for step, region in enumerate(["coast", "coast", "delta", "plateau", "coast", "delta"]):
    image, target = patches(4, with_water=region != "plateau")
    loss, parts = balanced_ce(unet(image), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
    print(step, region, {k: round(v, 3) for k, v in parts.items()})
