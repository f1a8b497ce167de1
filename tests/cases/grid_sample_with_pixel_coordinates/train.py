import torch
from torch import nn
import torch.nn.functional as F


class GlimpseModel(nn.Module):
    """finds one 8x8 window in a 32x32 image and classifies it"""

    def __init__(self, size=32, window=8):
        super().__init__()
        self.size, self.window = size, window
        self.locator = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, 2)
        )
        self.glimpse_net = nn.Sequential(nn.Flatten(), nn.Linear(window * window, 32), nn.ReLU(), nn.Linear(32, 4))

    def crop(self, img, centre):
        r = torch.arange(self.window) - (self.window - 1) / 2
        dy, dx = torch.meshgrid(r, r, indexing="ij")
        xy = torch.stack([dx, dy], -1)[None] + centre[:, None, None, :]
        return F.grid_sample(img, xy, align_corners=False)

    def forward(self, img):
        centre = (torch.tanh(self.locator(img)) + 1) * self.size / 4 + self.size / 4
        return self.glimpse_net(self.crop(img, centre))


def digits(n=32):
    img = torch.rand(n, 1, 32, 32) * 0.2
    y = torch.randint(0, 4, (n,))
    for i, c in enumerate(y):
        r = 8 + 4 * (i % 3)
        img[i, 0, r:r + 6, 10 + int(c):14 + int(c)] += 1
    return img, y


torch.manual_seed(7)
model = GlimpseModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(6):
    img, y = digits()
    loss = F.cross_entropy(model(img), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: {loss.item():.4f}")
