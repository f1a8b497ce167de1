import torch
from torch import nn
import torch.nn.functional as F

SIZE, PATCH = 32, 8


class Attender(nn.Module):
    def __init__(self, n_classes=4):
        super().__init__()
        self.where = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear((SIZE // 4) ** 2, 24), nn.ReLU(), nn.Linear(24, 2))
        self.context = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear((SIZE // 8) ** 2, 12), nn.ReLU())
        self.classify = nn.Linear(PATCH * PATCH + 12, n_classes)

    def glimpse(self, image, offset):
        lin = torch.arange(PATCH, dtype=torch.float32) - (PATCH - 1) / 2
        yy, xx = torch.meshgrid(lin, lin, indexing="ij")
        window = torch.stack([xx, yy], dim=-1)
        centre = SIZE / 2 + SIZE / 4 * torch.tanh(offset)
        grid = centre[:, None, None] + window
        grid = 2 * grid / (SIZE - 1) - 1
        return F.grid_sample(image, grid, align_corners=True)

    def forward(self, image):
        patch = self.glimpse(image, self.where(image))
        return self.classify(torch.cat([patch.flatten(1), self.context(image)], dim=1))


def cluttered(n):
    """one of four 5x5 glyphs somewhere near the middle"""
    glyphs = torch.zeros(4, 5, 5)
    glyphs[0, 2], glyphs[1, :, 2] = 1, 1
    glyphs[2].fill_diagonal_(1)
    glyphs[3] = glyphs[2].flip(0)
    image, label = 0.1 * torch.rand(n, 1, SIZE, SIZE), torch.randint(4, (n,))
    for i in range(n):
        r, c = torch.randint(10, 18, (2,)).tolist()
        image[i, 0, r:r + 5, c:c + 5] += glyphs[label[i]]
    return image, label


def train(attender, steps):
    optimizer = torch.optim.Adam(attender.parameters(), lr=3e-3)
    for step in range(steps):
        image, label = cluttered(32)
        loss = F.cross_entropy(attender(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step:02d} loss {loss.item():.4f}")


torch.manual_seed(30)
attender = Attender()
train(attender, 8)
