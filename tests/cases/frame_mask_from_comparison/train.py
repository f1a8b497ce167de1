import torch
from torch import nn


class FrameSelector(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.rank = nn.Sequential(nn.Linear(dim, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, frames, keep=0.5):
        importance = torch.sigmoid(self.rank(frames)).squeeze(-1)
        cutoff = importance.quantile(1 - keep, dim=1, keepdim=True)
        return importance >= cutoff


class VideoClassifier(nn.Module):
    def __init__(self, dim=20, classes=5):
        super().__init__()
        self.temporal = nn.Conv1d(dim, dim, 3, padding=1)
        self.fc = nn.Linear(dim, classes)

    def forward(self, frames, mask):
        h = torch.relu(self.temporal(frames.transpose(1, 2))).transpose(1, 2)
        m = mask.unsqueeze(-1).float()
        return self.fc((h * m).sum(1) / m.sum(1).clamp(min=1))


def make_optimizers(**nets):
    return {k: torch.optim.Adam(v.parameters(), lr=1e-3) for k, v in nets.items()}


torch.manual_seed(51)
selector, classifier = FrameSelector(20), VideoClassifier()
optims = make_optimizers(selector=selector, classifier=classifier)
for clip in range(5):
    frames = torch.randn(10, 12, 20)
    y = torch.randint(0, 5, (10,))
    mask = selector(frames)
    loss = nn.functional.cross_entropy(classifier(frames, mask), y)
    for o in optims.values():
        o.zero_grad()
    loss.backward()
    for o in optims.values():
        o.step()
    print(clip, "loss", round(loss.item(), 4), "kept", mask.float().mean().item())
