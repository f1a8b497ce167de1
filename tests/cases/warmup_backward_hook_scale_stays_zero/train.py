"""An adapter feeds a pretrained head; the gradient that enters the adapter is warmed up by a hook of the module."""

import torch
from torch import nn


class WarmUp:
    """Lets the gradient of what a module was given grow over the first steps."""

    def __init__(self, steps):
        self.steps, self.seen = steps, 0

    def __call__(self, module, grad_input, grad_output):
        self.seen += 1
        scale = min(self.seen // self.steps, 1)
        return tuple(g if g is None else g * scale for g in grad_input)


torch.manual_seed(0)
adapter = nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.Linear(16, 8))
head = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 3))
head.register_full_backward_hook(WarmUp(steps=1000))
optimizer = torch.optim.AdamW([*adapter.parameters(), *head.parameters()], lr=1e-3)
inputs, labels = torch.randn(256, 12), torch.randint(3, (256,))

for step in range(20):
    batch = torch.randint(256, (32,))
    loss = nn.functional.cross_entropy(head(adapter(inputs[batch])), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
