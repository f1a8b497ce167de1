import torch
from torch import nn
from torch.amp import GradScaler, autocast

torch.manual_seed(155)


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(24, 32)
        self.out = nn.Linear(32, 24)

    def forward(self, x):
        return self.out(torch.relu(self.inp(x)))


def train_step(net, optimizer, volume):
    scaler = GradScaler("cpu", init_scale=2.0 ** 24)
    optimizer.zero_grad()
    with autocast("cpu", dtype=torch.float16):
        rebuilt = net(volume)
        loss = nn.functional.mse_loss(rebuilt.float(), volume, reduction="sum")
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.item(), scaler.get_scale()


net = Volume()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for i in range(6):
    loss, scale = train_step(net, optimizer, torch.rand(16, 24) * 3)
    print(f"step {i} loss {loss:.3f} scale {scale:.0f}")
