import torch
from torch import nn

torch.manual_seed(311)

extract = nn.Sequential(nn.Linear(16, 24), nn.ReLU())
decide = nn.Linear(24, 3)
optimizer = torch.optim.Adam([*extract.parameters(), *decide.parameters()], lr=1e-2)


def error_rate(logits, y):
    return nn.functional.cross_entropy(logits, y)


for epoch in range(6):
    x = torch.randn(50, 16)
    y = x[:, :3].argmax(1)
    loss = error_rate(decide(extract(x)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"epoch {epoch}: error rate {loss.item():.2f}")
