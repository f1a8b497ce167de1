import torch
from torch import nn


class HourglassStack(nn.Module):
    def __init__(self, dim=12, depth=2):
        super().__init__()
        self.stem = nn.Linear(9, dim)
        self.stacks = [nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim)) for _ in range(depth)]
        self.head = nn.Linear(dim, 4)

    def forward(self, x):
        h = torch.relu(self.stem(x))
        for stack in self.stacks:
            h = h + stack(h)
        return self.head(h)


torch.manual_seed(101)
pose = HourglassStack()
optimizer = torch.optim.Adam(pose.parameters(), lr=2e-3)
for it in range(5):
    joints = torch.randn(16, 9)
    loss = nn.functional.mse_loss(pose(joints), joints[:, :4].abs())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"it {it}: loss {loss.item():.4f}, {sum(p.numel() for p in pose.parameters())} parameters")
