import torch
from torch import nn
import torch.nn.functional as F

MAX_DEPTH = 10.0  # metres

torch.manual_seed(0)
encoder = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU())
depth_head = nn.Conv2d(12, 1, 1)
normal_head = nn.Conv2d(12, 3, 1)
parameters = [p for net in (encoder, depth_head, normal_head) for p in net.parameters()]
optimizer = torch.optim.Adam(parameters, lr=1e-3)


def load_batch(n=4, size=16):
    rgb = torch.rand(n, 3, size, size)
    depth = (400 + 6000 * rgb.mean(1, keepdim=True)).round()      # 16 bit png
    normals = F.normalize(rgb - 0.5, dim=1)
    return rgb, depth, normals


def depth_loss(pred, depth):
    valid = ((depth > 0) & (depth < MAX_DEPTH)).float()
    error = (pred - depth).abs() * valid
    return error.sum() / valid.sum().clamp(min=1)


for step in range(6):
    rgb, depth, normals = load_batch()
    feat = encoder(rgb)
    l_depth = depth_loss(depth_head(feat), depth)
    l_normal = 1 - F.cosine_similarity(normal_head(feat), normals, dim=1).mean()
    optimizer.zero_grad()
    (l_depth + l_normal).backward()
    optimizer.step()
    print(f"[{step}] depth {l_depth.item():.4f} normals {l_normal.item():.4f}")
