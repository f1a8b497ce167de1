import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)


class SaliencyNet(nn.Module):
    def __init__(self, bands=6):
        super().__init__()
        self.conv = nn.Conv1d(bands, 8, 3, padding=1)
        self.out = nn.Conv1d(8, 1, 1)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x))).squeeze(1)


def robust_scale(scores):
    """Scale every spectrum to its 5..95 percentile range."""
    lo = torch.quantile(scores.detach(), 0.05, dim=1, keepdim=True)
    hi = torch.quantile(scores.detach(), 0.95, dim=1, keepdim=True)
    return ((scores - lo) / (hi - lo + 1e-6)).clamp(0.0, 1.0)


saliency = SaliencyNet()
regressor = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(list(saliency.parameters()) + list(regressor.parameters()), lr=1e-3)

history = []
for step in range(6):
    spectra = torch.from_numpy(rng.normal(size=(10, 6, 25)).astype("float32"))
    target = spectra[:, :, 10:14].mean(dim=(1, 2))
    weight = robust_scale(saliency(spectra)).unsqueeze(1)
    pooled = (spectra * weight).sum(-1) / weight.sum(-1)
    loss = (regressor(pooled).squeeze(-1) - target).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
    print("step", step, "mse", round(history[-1], 5))
