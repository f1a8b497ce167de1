import torch
from torch import nn
import torch.nn.functional as F
from fixed_blocks import ResBlock

torch.manual_seed(0)
stem = nn.Conv2d(1, 8, 3, padding=1)
body = nn.Sequential(*[ResBlock(8, res_scale=0.1) for _ in range(10)])
upsample = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.PixelShuffle(2))
optimizer = torch.optim.Adam([*stem.parameters(), *body.parameters(), *upsample.parameters()], lr=1e-3)

for it in range(6):
    high = F.avg_pool2d(torch.rand(4, 1, 18, 18), 3, stride=1)
    low = F.avg_pool2d(high, 2)
    out = upsample(body(stem(low)))
    loss = F.l1_loss(out, high)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"iter {it} L1 {loss.item():.5f}")
