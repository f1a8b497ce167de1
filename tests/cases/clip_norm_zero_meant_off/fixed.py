import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--max-grad-norm", type=float, default=0.0, help="0 switches clipping off")
args = parser.parse_args([])

torch.manual_seed(131)


class SeqLabeler(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 16, 3, padding=1)
        self.label = nn.Conv1d(16, 4, 1)

    def forward(self, x):
        return self.label(torch.relu(self.conv(x)))


labeler, smoother = SeqLabeler(), nn.Conv1d(4, 4, 5, padding=2, groups=4)
optimizer = torch.optim.SGD([*labeler.parameters(), *smoother.parameters()], lr=args.lr, momentum=0.9)

for step in range(args.steps):
    x = torch.randn(8, 6, 20)
    y = x[:, :4].argmax(1)
    loss = nn.functional.cross_entropy(smoother(labeler(x)), y)
    optimizer.zero_grad()
    loss.backward()
    for net in (labeler, smoother) if args.max_grad_norm > 0 else ():
        nn.utils.clip_grad_norm_(net.parameters(), args.max_grad_norm)
    optimizer.step()
    print(f"step {step} loss {loss.item():.5f}")
