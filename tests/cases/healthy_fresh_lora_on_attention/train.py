import torch
from torch import nn

torch.manual_seed(0)
base = nn.ModuleDict({k: nn.Linear(24, 24) for k in ("q", "k", "v", "o")}).requires_grad_(False)
adapters = nn.ModuleDict()
for name in ("q", "v"):
    adapters[f"{name}_down"] = nn.Linear(24, 4, bias=False)
    adapters[f"{name}_up"] = nn.Linear(4, 24, bias=False)
    nn.init.zeros_(adapters[f"{name}_up"].weight)
head = nn.Linear(24, 3)


def project(name, x):
    y = base[name](x)
    if f"{name}_up" in adapters:
        y = y + 2.0 * adapters[f"{name}_up"](adapters[f"{name}_down"](x))
    return y


def attention(x):
    q, k, v = project("q", x), project("k", x), project("v", x)
    w = torch.softmax(q @ k.transpose(1, 2) / 24 ** 0.5, -1)
    return x + project("o", w @ v)


opt = torch.optim.AdamW([*adapters.parameters(), *head.parameters()], lr=2e-3)
for step in range(9):
    x = torch.randn(32, 6, 24)
    y = x[:, 0, :3].argmax(1)
    loss = nn.functional.cross_entropy(head(attention(x).mean(1)), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"step {step} loss {loss.item():.4f}")
