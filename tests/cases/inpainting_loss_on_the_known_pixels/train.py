import torch
from torch import nn


class Inpainter(nn.Module):
    def __init__(self):
        super().__init__()
        self.coarse = nn.Sequential(nn.Conv2d(2, 12, 5, padding=2), nn.ELU(), nn.Conv2d(12, 1, 3, padding=1))
        self.refine = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1), nn.ELU(), nn.Conv2d(12, 1, 3, padding=1))

    @staticmethod
    def paste(pred, image, known):
        return image * known + pred * (1 - known)

    def forward(self, image, known):
        first = self.paste(self.coarse(torch.cat([image * known, known], 1)), image, known)
        second = self.paste(self.refine(torch.cat([first, known], 1)), image, known)
        return first, second


class ReconstructionLoss:
    def __init__(self, weight=1.0):
        self.weight = weight

    def __call__(self, result, image, known):
        return self.weight * ((result - image) * known).abs().mean()


def holes(n, size=12):
    known = torch.ones(n, 1, size, size)
    known[:, :, 4:9, 3:8] = 0
    return known


torch.manual_seed(0)
net = Inpainter()
mask_critic = nn.Sequential(nn.Flatten(), nn.Linear(144, 1))
rec = ReconstructionLoss()
opt = torch.optim.Adam([*net.parameters(), *mask_critic.parameters()], lr=1e-3)
for step in range(7):
    image = torch.rand(6, 1, 1, 12).expand(-1, -1, 12, -1)
    known = holes(6)
    first, second = net(image, known)
    loss = rec(first, image, known) + rec(second, image, known)
    loss = loss + mask_critic(known * torch.rand_like(known)).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, loss.item())
