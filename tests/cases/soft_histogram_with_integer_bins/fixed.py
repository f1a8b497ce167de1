import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(50)


class ToneCurve(nn.Module):
    """Image dependent tone curve."""

    def __init__(self):
        super().__init__()
        self.stats = nn.Linear(3, 16)
        self.gamma = nn.Linear(16, 1)

    def forward(self, img):
        s = torch.stack([img.mean((1, 2)), img.std((1, 2)), img.amax((1, 2))], 1)
        g = 0.5 + F.softplus(self.gamma(torch.tanh(self.stats(s))))
        return img.clamp(min=1e-3) ** g.unsqueeze(-1)


class HistogramScorer(nn.Module):
    def __init__(self, bins=16):
        super().__init__()
        self.bins = bins
        self.mlp = nn.Sequential(nn.Linear(bins, 16), nn.ReLU(), nn.Linear(16, 1))

    def histogram(self, img):
        pos = img.flatten(1).unsqueeze(-1) * (self.bins - 1)
        return F.relu(1 - (pos - torch.arange(self.bins)).abs()).mean(1)

    def forward(self, img):
        return self.mlp(self.histogram(img)).squeeze(-1)


tone, scorer = ToneCurve(), HistogramScorer()
opt_tone = torch.optim.Adam(tone.parameters(), lr=5e-3)
opt_score = torch.optim.Adam(scorer.parameters(), lr=5e-3)
for it in range(5):
    img = torch.rand(8, 10, 10)
    rating = (img.mean((1, 2)) > 0.5).float()
    opt_tone.zero_grad(); opt_score.zero_grad()
    loss = F.binary_cross_entropy_with_logits(scorer(tone(img)), rating)
    loss.backward()
    opt_tone.step(); opt_score.step()
    print(f"it {it} bce {loss.item():.4f}")
