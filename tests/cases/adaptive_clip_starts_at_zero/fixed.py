import torch
from torch import nn


class AdaptiveClip:
    """Clips to a running mean of the norms seen so far."""

    def __init__(self, momentum=0.9):
        self.momentum, self.limit = momentum, 5.0

    def __call__(self, params):
        params = [p for p in params if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(params, self.limit).item()
        self.limit = self.momentum * self.limit + (1 - self.momentum) * 2 * norm
        return norm


torch.manual_seed(333)
vision, touch = nn.Sequential(nn.Linear(18, 24), nn.Tanh()), nn.Sequential(nn.Linear(6, 24), nn.Tanh())
grasp = nn.Linear(24, 1)
optimizer = torch.optim.SGD([p for m in (vision, touch, grasp) for p in m.parameters()], lr=0.1)
clips = {"vision": AdaptiveClip(), "touch": AdaptiveClip()}

for trial in range(6):
    image, force = torch.randn(20, 18), torch.randn(20, 6)
    logit = grasp(vision(image) + touch(force)).squeeze(-1)
    loss = nn.functional.binary_cross_entropy_with_logits(logit, (force[:, 0] > 0).float())
    optimizer.zero_grad()
    loss.backward()
    norms = {"vision": clips["vision"](vision.parameters()), "touch": clips["touch"](touch.parameters())}
    optimizer.step()
    print(f"trial {trial} loss {loss.item():.4f}", norms)
