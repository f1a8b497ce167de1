import torch
from torch import nn
import torch.nn.functional as F

from unet import TinyUNet

torch.manual_seed(75)
segmenter = TinyUNet()
boundary = nn.Conv2d(1, 1, 3, padding=1)
optimizer = torch.optim.SGD([
    {"params": segmenter.parameters(), "lr": 0.05},
    {"params": boundary.parameters(), "lr": 0.01},
], momentum=0.9)

for it in range(5):
    scan = torch.rand(3, 1, 16, 16)
    organ = (scan > 0.55).float()
    logits, _ = segmenter(scan)
    edge = F.mse_loss(boundary(torch.sigmoid(logits)), boundary(organ).detach())
    loss = F.binary_cross_entropy_with_logits(logits, organ) + 0.1 * edge
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"it {it} loss {loss.item():.4f} edge {edge.item():.4f}")
