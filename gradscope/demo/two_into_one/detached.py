"""Broken: the lower half is kept for a plot, and the kept copy goes on into the head."""

import torch
from torch import nn

from gradscope.demo import load_digits

torch.manual_seed(0)
images, labels = load_digits()

upper = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 12))
lower = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 12))
head = nn.Sequential(nn.ReLU(), nn.Linear(24, 10))

parameters = [*upper.parameters(), *lower.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(parameters, lr=0.01)

for step in range(60):
    batch = torch.randint(len(images), (128,))
    top = upper(images[batch, :4])
    bottom = kept = lower(images[batch, 4:]).detach()
    scores = head(torch.cat([top, bottom], dim=1))
    loss = nn.functional.cross_entropy(scores, labels[batch])

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == labels[batch]).float().mean()
        print(f"step {step + 1}: loss {loss:.3f}, {right:.0%} right")
