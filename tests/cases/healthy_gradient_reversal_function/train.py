import torch
from torch import nn
import torch.nn.functional as F


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


class DANN(nn.Module):
    def __init__(self):
        super().__init__()
        self.extract = nn.Sequential(nn.Linear(12, 24), nn.ReLU())
        self.label = nn.Linear(24, 3)
        self.domain = nn.Sequential(nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 2))

    def forward(self, x, strength):
        f = self.extract(x)
        return self.label(f), self.domain(Reverse.apply(f, strength))


torch.manual_seed(261)
dann = DANN()
optimizer = torch.optim.SGD(dann.parameters(), lr=0.05, momentum=0.9)
for epoch in range(6):
    strength = 2 / (1 + torch.exp(torch.tensor(-10.0 * epoch / 6))).item() - 1
    source, target = torch.randn(16, 12), torch.randn(16, 12) + 0.5
    y, d_source = dann(source, strength)
    _, d_target = dann(target, strength)
    loss_y = F.cross_entropy(y, source[:, :3].argmax(1))
    loss_d = F.cross_entropy(torch.cat([d_source, d_target]), torch.arange(32) // 16)
    optimizer.zero_grad()
    (loss_y + loss_d).backward()
    optimizer.step()
    print(f"epoch {epoch} strength {strength:.3f} label {loss_y.item():.4f} domain {loss_d.item():.4f}")
