"""Broken: the encoder was evaluated alone once, and the no_grad stayed."""

import torch
from torch import nn

from gradscope.demo import load_digits

torch.manual_seed(0)
images, labels = load_digits()

encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
classifier = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))

optimizer = torch.optim.Adam([*encoder.parameters(), *classifier.parameters()], lr=0.01)

for step in range(60):
    batch = torch.randint(len(images), (128,))
    with torch.no_grad():
        code = encoder(images[batch])
    code = (code - code.mean(0)) / (code.std(0) + 0.01)
    scores = classifier(code)
    loss = nn.functional.cross_entropy(scores, labels[batch])

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == labels[batch]).float().mean()
        print(f"step {step + 1}: loss {loss:.3f}, {right:.0%} right")
