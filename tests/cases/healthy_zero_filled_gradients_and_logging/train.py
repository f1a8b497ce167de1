import numpy as np
import torch
from torch import nn

torch.manual_seed(241)
history = {"loss": [], "norm": [], "pred": []}


class TwoBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.day = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 1))
        self.night = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 1))

    def forward(self, x, is_day):
        return torch.where(is_day, self.day(x).squeeze(-1), self.night(x).squeeze(-1))


load = TwoBranch()
optimizer = torch.optim.Adam(load.parameters(), lr=1e-3)
for hour in range(6):
    x = torch.randn(20, 5)
    is_day = torch.rand(20) > 0.5
    pred = load(x, is_day)
    loss = (pred - x.mean(1)).pow(2).mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    norm = torch.stack([p.grad.norm() for p in load.parameters()]).norm()
    optimizer.step()
    history["loss"].append(loss.item())
    history["norm"].append(float(norm))
    history["pred"].append(pred.detach().cpu().numpy())
    print(f"hour {hour} loss {history['loss'][-1]:.4f} mean prediction {np.mean(history['pred'][-1]):+.4f}")
print("average gradient norm", round(float(np.mean(history["norm"])), 4))
