import torch
from torch import nn


def pretrain(body, steps=40):
    probe = nn.Linear(32, 8)
    opt = torch.optim.Adam([*body.parameters(), *probe.parameters()], lr=1e-2)
    for _ in range(steps):
        x = torch.randn(64, 8)
        loss = nn.functional.mse_loss(probe(body(x)), x.roll(1, 1) * x)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


torch.manual_seed(0)
body = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
print("pretraining loss", pretrain(body))
head = nn.Linear(32, 2)
opt = torch.optim.AdamW(
    [{"params": body.parameters(), "lr": 1e-6}, {"params": head.parameters(), "lr": 1e-2}], weight_decay=0.01
)
for step in range(10):
    x = torch.randn(64, 8)
    y = (x[:, 0] * x[:, 7] > 0).long()
    loss = nn.functional.cross_entropy(head(body(x)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
