import torch
from torch import nn
import torch.nn.functional as F

SCALE = 2.0 ** 10                   # keeps small half gradients alive

torch.manual_seed(0)
tower = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU()).half()
head = nn.Linear(48, 2)
head_opt = torch.optim.SGD(head.parameters(), lr=0.05)
opt = torch.optim.SGD(tower.parameters(), lr=0.05)


def apply_gradients(params):
    for p in params:
        p.grad.copy_(p.grad.float() / SCALE)


for step in range(6):
    eeg = torch.randn(32, 16)
    label = (eeg[:, 0] > 0).long()
    features = tower(eeg.half())
    loss = F.cross_entropy(head(features.float()), label)
    opt.zero_grad()
    head_opt.zero_grad()
    (loss * SCALE).backward()
    apply_gradients([*tower.parameters(), *head.parameters()])
    opt.step()
    head_opt.step()
    print(f"step {step} loss {loss.item():.4f} |f| {features.float().norm().item():.3f}")
