import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(19)


class Stage(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(4, cout)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))


class PatchEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.low = Stage(1, 8)
        self.mid = Stage(8, 16)

    def forward(self, x):
        # saves memory on whole-slide images
        x = checkpoint(self._low_mid, x, use_reentrant=False)
        return x

    def _low_mid(self, x):
        return self.mid(self.low(x))


class Pooling(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.att = nn.Linear(dim, 1)
        self.cls = nn.Linear(dim, 2)

    def forward(self, bag):
        w = torch.softmax(self.att(bag), dim=0)
        return self.cls((w * bag).sum(0, keepdim=True))


encoder, mil = PatchEncoder(), Pooling()
optimizer = torch.optim.AdamW([*encoder.parameters(), *mil.parameters()], lr=1e-3)
for slide in range(5):
    patches = torch.rand(24, 1, 16, 16)
    label = torch.tensor([slide % 2])
    bag = encoder(patches).mean(dim=(2, 3))
    loss = nn.functional.cross_entropy(mil(bag), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("slide", slide, "loss", f"{loss.item():.4f}")
