import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)
flow_net = nn.Sequential(nn.Conv2d(2, 10, 5, padding=2), nn.LeakyReLU(0.1), nn.Conv2d(10, 2, 5, padding=2))
mask_net = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 1, 1))
optimizer = torch.optim.SGD([*flow_net.parameters(), *mask_net.parameters()], lr=0.1, momentum=0.9)
base = F.affine_grid(torch.eye(2, 3)[None], [1, 1, 32, 32], align_corners=False)


def warp(image, flow):
    return F.grid_sample(image, base + 0.1 * flow.permute(0, 2, 3, 1), align_corners=False)


def photometric(a, b):
    n, c, h, w = a.shape
    loss = (a - b).pow(2).mean()
    return loss / (n * c * h * w)


for step in range(6):
    first = F.avg_pool2d(torch.rand(16, 1, 34, 34), 3, stride=1)
    second = first.roll(1, dims=3)
    x = torch.cat([first, second], 1)
    photo = photometric(warp(first, flow_net(x)), second)
    moving = (first - second).abs().gt(0.1).float()
    mask = F.binary_cross_entropy_with_logits(mask_net(x), moving)
    optimizer.zero_grad()
    (photo + mask).backward()
    optimizer.step()
    print(step, f"photometric {photo.item():.3e} mask {mask.item():.4f}")
