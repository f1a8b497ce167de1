import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(53)
K = 4


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 8, 3, padding=1)
        self.heat = nn.Conv2d(8, 1, 1)

    def forward(self, img):
        return self.heat(F.relu(self.body(img))).flatten(1)


class Descriptor(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.conv = nn.Conv2d(1, dim, 5, padding=2)

    def forward(self, img):
        return F.normalize(self.conv(img), dim=1).flatten(2)


def match_loss(detector, descriptor, a, b):
    heat = detector(a)
    score, idx = heat.topk(K, dim=1)
    da = descriptor(a).gather(2, idx.unsqueeze(1).expand(-1, 12, -1))
    db = descriptor(b).gather(2, idx.unsqueeze(1).expand(-1, 12, -1))
    logits = torch.einsum("ndi,ndj->nij", da, db) / 0.2
    target = torch.arange(K).expand(len(a), K)
    per_point = F.cross_entropy(logits.transpose(1, 2), target, reduction="none")
    return (score.softmax(1) * per_point).sum(1).mean()


detector, descriptor = Detector(), Descriptor()
groups = [{"params": detector.parameters(), "lr": 1e-3}, {"params": descriptor.parameters(), "lr": 3e-3}]
opt = torch.optim.AdamW(groups)
for it in range(5):
    a = torch.rand(6, 1, 10, 10)
    b = (a + 0.05 * torch.randn_like(a)).clamp(0, 1)
    loss = match_loss(detector, descriptor, a, b)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{it:02d} matching loss {loss.item():.4f}")
