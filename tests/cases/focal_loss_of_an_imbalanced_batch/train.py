import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class Head(nn.Module):
    def __init__(self, ch, prior=0.01):
        super().__init__()
        self.tower = nn.Sequential(nn.Conv2d(ch, ch, 3, padding=1), nn.ReLU())
        self.cls = nn.Conv2d(ch, 2, 3, padding=1)
        self.box = nn.Conv2d(ch, 4, 3, padding=1)
        nn.init.constant_(self.cls.bias, -math.log((1 - prior) / prior))

    def forward(self, x):
        x = self.tower(x)
        return self.cls(x), self.box(x)


def focal(logits, target, gamma=2.0, alpha=0.25):
    ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_t = torch.exp(-ce)
    w = alpha * target + (1 - alpha) * (1 - target)
    return (w * (1 - p_t) ** gamma * ce).sum()


def images(step):
    x = torch.randn(2, 3, 12, 12)
    obj = torch.zeros(2, 2, 12, 12)
    if step != 3:                                          # step 3: no object in any image
        obj[:, 0, 3:5, 3:5] = 1
        x[:, 0, 2:6, 2:6] += 3
    return x, obj


backbone, head = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()), Head(8)
opt = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.02, momentum=0.9)
for step in range(8):
    x, obj = images(step)
    cls, box = head(backbone(x))
    positive = obj.sum(1, keepdim=True)
    n = positive.sum().clamp(min=1.0)
    cls_loss = focal(cls, obj) / n
    box_loss = (F.smooth_l1_loss(box, torch.ones_like(box), reduction="none") * positive).sum() / n
    opt.zero_grad()
    (cls_loss + box_loss).backward()
    opt.step()
    print(step, cls_loss.item(), box_loss.item())
