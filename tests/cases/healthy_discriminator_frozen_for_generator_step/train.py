import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(245)


def toggle(net, on):
    for p in net.parameters():
        p.requires_grad_(on)


class Colorizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, gray):
        return torch.sigmoid(self.c2(F.elu(self.c1(gray))))


class Patch(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(8, 1, 3)

    def forward(self, gray, rgb):
        return self.c2(F.leaky_relu(self.c1(torch.cat([gray, rgb], 1)), 0.2))


colorizer, patch = Colorizer(), Patch()
opt_c = torch.optim.Adam(colorizer.parameters(), lr=1e-3)
opt_p = torch.optim.Adam(patch.parameters(), lr=1e-3)
for it in range(5):
    rgb = torch.rand(4, 3, 10, 10)
    gray = rgb.mean(1, keepdim=True)
    fake = colorizer(gray)

    toggle(patch, True)
    opt_p.zero_grad()
    loss_p = (patch(gray, rgb) - 1).pow(2).mean() + patch(gray, fake.detach()).pow(2).mean()
    loss_p.backward()
    opt_p.step()

    toggle(patch, False)
    opt_c.zero_grad()
    loss_c = (patch(gray, fake) - 1).pow(2).mean() + 10 * F.l1_loss(fake, rgb)
    loss_c.backward()
    opt_c.step()
    print(f"it {it} patch {loss_p.item():.4f} color {loss_c.item():.4f}")
