import torch
from torch import nn

torch.manual_seed(305)


class Augmenter(nn.Module):
    """Learns how strongly the channels are mixed and scaled."""

    def __init__(self, c=3):
        super().__init__()
        self.mix = nn.Conv2d(c, c, 1)
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + torch.sigmoid(self.strength) * self.mix(x)


@torch.no_grad()
def batches(augmenter, n, size=8):
    for _ in range(n):
        x = torch.rand(size, 3, 8, 8)
        y = (x.mean((1, 2, 3)) > 0.5).long()
        yield augmenter(x), y


augmenter = Augmenter()
classifier = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
opt_a = torch.optim.Adam(augmenter.parameters(), lr=1e-2)
opt_c = torch.optim.Adam(classifier.parameters(), lr=1e-3)
for i, (x, y) in enumerate(batches(augmenter, 5)):
    loss = nn.functional.cross_entropy(classifier(x), y)
    opt_a.zero_grad()
    opt_c.zero_grad()
    loss.backward()
    opt_a.step()
    opt_c.step()
    print(f"batch {i} loss {loss.item():.4f} strength {augmenter.strength.item():+.4f}")
