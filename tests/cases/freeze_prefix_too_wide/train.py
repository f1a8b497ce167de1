import torch
from collections import OrderedDict
from torch import nn


def conv_block(channels):
    return nn.Sequential(OrderedDict(norm=nn.GroupNorm(2, channels), act=nn.SiLU(), conv=nn.Conv1d(channels, channels, 3, padding=1)))


class KeywordNet(nn.Module):
    def __init__(self, mels=8, channels=12, n_words=4, depth=11):
        super().__init__()
        self.stem = nn.Conv1d(mels, channels, 3, padding=1)
        for i in range(1, depth + 1):
            self.add_module(f"block{i}", conv_block(channels))
        self.depth = depth
        self.head = nn.Linear(channels, n_words)

    def forward(self, x):
        x = self.stem(x)
        for i in range(1, self.depth + 1):
            x = x + getattr(self, f"block{i}")(x)
        return self.head(x.mean(-1))


def freeze(model, prefixes):
    for name, p in model.named_parameters():
        if any(name.startswith(prefix) for prefix in prefixes):
            p.requires_grad_(False)


def layerwise_groups(model, base_lr, decay, first):
    groups = [{"params": list(model.head.parameters()), "lr": base_lr}]
    for i in range(model.depth, first - 1, -1):
        groups.append({"params": list(getattr(model, f"block{i}").parameters()), "lr": base_lr * decay ** (model.depth - i)})
    return groups


def keyword_batch(n=32, frames=20):
    y = torch.randint(4, (n,))
    x = torch.randn(n, 8, frames)
    x[torch.arange(n), y * 2] += 1.5
    return x, y


torch.manual_seed(0)
net = KeywordNet()
freeze(net, ["stem", "block1"])
opt = torch.optim.Adam(layerwise_groups(net, 5e-3, 0.85, first=2))
for step in range(8):
    x, y = keyword_batch()
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, round(loss.item(), 4))
