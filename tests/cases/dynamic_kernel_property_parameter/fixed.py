import torch
from torch import nn
import torch.nn.functional as F

SEED = 47
torch.manual_seed(SEED)


class DynamicConv(nn.Module):
    """Depthwise convolution, its kernel is generated from a task code."""

    def __init__(self, channels, tasks, code_dim=6, k=3):
        super().__init__()
        self.channels, self.k, self.active = channels, k, 0
        self.codes = nn.Embedding(tasks, code_dim)
        self.generator = nn.Sequential(nn.Linear(code_dim, 24), nn.Tanh(), nn.Linear(24, channels * k * k))

    @property
    def kernel(self):
        flat = self.generator(self.codes.weight[self.active])
        return flat.view(self.channels, 1, self.k, self.k)

    def forward(self, x):
        return F.conv2d(x, self.kernel, padding=self.k // 2, groups=self.channels)


class MultiTaskNet(nn.Module):
    def __init__(self, tasks=3, channels=10):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.dynamic = DynamicConv(channels, tasks)
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, x, task):
        self.dynamic.active = task
        h = F.gelu(self.stem(x))
        return self.head(F.gelu(h + self.dynamic(h)))


TASKS = {
    0: lambda x: F.avg_pool2d(x, 3, stride=1, padding=1),
    1: lambda x: x - F.avg_pool2d(x, 3, stride=1, padding=1),
    2: lambda x: F.max_pool2d(x, 3, stride=1, padding=1),
}


def train(steps=6):
    net = MultiTaskNet(len(TASKS))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(steps):
        optimizer.zero_grad()
        losses = []
        for task, transform in TASKS.items():
            image = torch.rand(4, 1, 12, 12)
            losses.append(F.mse_loss(net(image, task), transform(image)))
        sum(losses).backward()
        optimizer.step()
        print(step, [round(l.item(), 4) for l in losses])
    return net


if __name__ == "__main__":
    train()
