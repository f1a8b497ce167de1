import torch
from torch import nn

torch.manual_seed(233)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm, self.ff = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))

    def forward(self, x):
        return x + self.ff(self.norm(x))


forecast = nn.Sequential(nn.Linear(12, 16), Block(16), Block(16), nn.Linear(16, 1))
optimizer = torch.optim.AdamW(forecast.parameters(), lr=1e-4)
for step in range(6):
    window = torch.randn(24, 13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pred = forecast(window[:, :-1]).squeeze(-1)
        loss = nn.functional.l1_loss(pred.float(), window[:, -1])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print("step", step, "l1", round(loss.item(), 4), pred.dtype)
