import math

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(8)


class LogitScale(nn.Module):
    """Learned temperature as in CLIP."""

    def __init__(self, init=1 / 0.2):
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(init)))

    def value(self):
        return self.log_scale.exp().clamp(max=100.0)


image_net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 48), nn.GELU(), nn.Linear(48, 16))
text_net = nn.Sequential(nn.EmbeddingBag(50, 32), nn.Linear(32, 16))
scale = LogitScale()

optimizer = torch.optim.AdamW([
    {"params": image_net.parameters()},
    {"params": text_net.parameters()},
    {"params": scale.parameters(), "weight_decay": 0.0, "lr": 1e-2},
], lr=1e-3, weight_decay=0.05)


def clip_loss(img, txt, s):
    logits = s * F.normalize(img, dim=-1) @ F.normalize(txt, dim=-1).t()
    target = torch.arange(len(img))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


for step in range(6):
    pictures = torch.rand(10, 3, 8, 8)
    captions = torch.randint(0, 50, (10, 5))
    loss = clip_loss(image_net(pictures), text_net(captions), scale.value())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} loss {loss.item():.4f} scale {scale.value().item():.4f}")
