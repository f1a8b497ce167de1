"""Broken: the loss of the decoder is computed and printed, but not summed."""

import torch
from torch import nn

from gradscope.demo import load_digits

torch.manual_seed(0)
images, labels = load_digits()

encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
classifier = nn.Sequential(nn.ReLU(), nn.Linear(16, 10))
decoder = nn.Sequential(nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid())

parameters = [*encoder.parameters(), *classifier.parameters(), *decoder.parameters()]
optimizer = torch.optim.Adam(parameters, lr=0.01)
weight = {"classify": 1.0, "restore": 5.0}

for step in range(60):
    batch = torch.randint(len(images), (128,))
    code = encoder(images[batch])
    scores = classifier(code)
    classify = nn.functional.cross_entropy(scores, labels[batch])
    restore = nn.functional.mse_loss(decoder(code), images[batch].flatten(1))
    loss = weight["classify"] * classify

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = (scores.argmax(1) == labels[batch]).float().mean()
        print(f"step {step + 1}: loss {loss:.3f}, {right:.0%} right, restored to {restore:.3f}")
