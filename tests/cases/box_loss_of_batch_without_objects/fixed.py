import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class Detector(nn.Module):
    def __init__(self, ch=10):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, ch, 3, padding=1, stride=2), nn.ReLU())
        self.cls = nn.Conv2d(ch, 1, 3, padding=1)
        self.box = nn.Conv2d(ch, 4, 3, padding=1)

    def forward(self, img):
        f = self.backbone(img)
        return self.cls(f).flatten(1), self.box(f).flatten(2).transpose(1, 2)


class UncertaintyWeighting(nn.Module):
    """Kendall et al. 2018"""

    def __init__(self, n):
        super().__init__()
        self.log_var = nn.Parameter(torch.zeros(n))

    def forward(self, losses):
        return sum(torch.exp(-s) * l + s for s, l in zip(self.log_var, losses))


def criterion(cls_logit, box_pred, objectness, boxes):
    positive = objectness > 0.5
    cls_loss = F.binary_cross_entropy_with_logits(cls_logit, objectness)
    box_loss = F.smooth_l1_loss(box_pred[positive], boxes[positive], reduction="sum") / max(1, 4 * int(positive.sum()))
    return cls_loss, box_loss


def scenes(n_batches, n=4):
    for k in range(n_batches):
        img = torch.rand(n, 1, 12, 12)
        objectness = (F.avg_pool2d(img, 2).flatten(1) > 0.65).float()
        if k == 2:
            img, objectness = img * 0.1, torch.zeros(n, 36)      # empty street
        yield img, objectness, torch.rand(n, 36, 4)


detector, weighting = Detector(), UncertaintyWeighting(2)
opt = torch.optim.SGD([*detector.parameters(), *weighting.parameters()], lr=0.02, momentum=0.9)
for k, (img, objectness, boxes) in enumerate(scenes(6)):
    losses = criterion(*detector(img), objectness, boxes)
    opt.zero_grad()
    weighting(losses).backward()
    opt.step()
    print(f"{k}: cls {losses[0].item():.4f} box {losses[1].item():.4f}")
