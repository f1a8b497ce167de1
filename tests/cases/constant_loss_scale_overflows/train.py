import torch
import torch.nn as nn


class Surrogate(nn.Module):
    """stress of a beam from geometry and load"""

    def __init__(self, hidden=64):
        super().__init__()
        self.inp = nn.Linear(4, hidden)
        self.hid = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        x = torch.tanh(self.inp(x))
        x = torch.tanh(self.hid(x))
        return self.out(x).squeeze(-1)


def beams(n, generator):
    x = torch.rand(n, 4, generator=generator)
    length, width, height, load = x.unbind(-1)
    return x, load * (1 + length) / ((1 + width) * (1 + height) ** 2)


class MixedPrecision:
    """forward in fp16, weights in fp32"""

    def __init__(self, optimizer, loss_scale=2.0 ** 19, clip=5.0):
        self.optimizer = optimizer
        self.loss_scale = loss_scale
        self.clip = clip
        self.scaler = torch.amp.GradScaler("cpu", init_scale=loss_scale)

    def parameters(self):
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def __call__(self, loss):
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update(self.loss_scale)


def forward(model, x):
    with torch.autocast("cpu", dtype=torch.float16):
        return model(x).float()


generator = torch.Generator().manual_seed(24)
torch.manual_seed(24)
surrogate = Surrogate()
update = MixedPrecision(torch.optim.SGD(surrogate.parameters(), lr=0.1, momentum=0.9))
for it in range(24):
    x, y = beams(128, generator)
    loss = (forward(surrogate, x) - y).pow(2).mean()
    update(loss)
    print(f"it {it} loss {loss.item():.4f} scale {update.scaler.get_scale():g}")
