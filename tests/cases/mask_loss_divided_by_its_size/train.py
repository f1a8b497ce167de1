import torch
import torch.nn.functional as F
from torch import nn


class TinyUNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, c, 3, padding=1), nn.ReLU())
        self.mid = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Upsample(scale_factor=2))
        self.up = nn.Conv2d(2 * c, 1, 3, padding=1)

    def forward(self, x):
        d = self.down(x)
        return self.up(torch.cat([d, self.mid(d)], 1))


def mask_loss(logits, mask):
    bce = F.binary_cross_entropy_with_logits(logits, mask)
    return bce / mask.numel()


def grade_loss(logits, grade):
    return F.cross_entropy(logits, grade)


class Runner:
    def __init__(self, size=32, bs=16, lr=0.05):
        self.size, self.bs = size, bs
        self.unet = TinyUNet()
        self.grader = nn.Sequential(nn.Flatten(), nn.Linear(size * size, 16), nn.ReLU(), nn.Linear(16, 3))
        self.optim = torch.optim.SGD([*self.unet.parameters(), *self.grader.parameters()], lr=lr, momentum=0.9)

    def batch(self):
        grade = torch.randint(0, 3, (self.bs,))
        mask = torch.zeros(self.bs, 1, self.size, self.size)
        for i, g in enumerate(grade.tolist()):
            side = 6 + 6 * g
            r, c = torch.randint(0, self.size - side, (2,)).tolist()
            mask[i, 0, r:r + side, c:c + side] = 1
        return mask + 0.5 * torch.randn_like(mask), mask, grade

    def run(self, steps):
        for step in range(steps):
            img, mask, grade = self.batch()
            seg = mask_loss(self.unet(img), mask)
            cls = grade_loss(self.grader(img), grade)
            self.optim.zero_grad()
            (seg + cls).backward()
            self.optim.step()
            print(step, f"seg {seg.item():.3g} grade {cls.item():.3f}")


torch.manual_seed(0)
runner = Runner()
runner.run(15)
