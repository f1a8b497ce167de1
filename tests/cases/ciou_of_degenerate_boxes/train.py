import math

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(31)


class Detector(nn.Module):
    def __init__(self, dim=32, n_classes=4):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, dim, 3, 2, 1), nn.SiLU(),
                                      nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * dim, dim), nn.SiLU())
        self.box_head = nn.Linear(dim, 4)
        self.cls_head = nn.Linear(dim, n_classes)

    def forward(self, rois, proposals):
        feats = self.backbone(rois)
        return proposals + self.box_head(feats), self.cls_head(feats)


def sizes(boxes):
    wh = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return wh[:, 0], wh[:, 1]


def aspect(w, h):
    return torch.where(h > 0, torch.atan(w / h), torch.zeros_like(w))


def ciou_loss(pred, target, eps=1e-7):
    (w, h), (wt, ht) = sizes(pred), sizes(target)
    iw, ih = sizes(torch.cat([torch.maximum(pred[:, :2], target[:, :2]), torch.minimum(pred[:, 2:], target[:, 2:])], 1))
    cw, ch = sizes(torch.cat([torch.minimum(pred[:, :2], target[:, :2]), torch.maximum(pred[:, 2:], target[:, 2:])], 1))
    inter = iw * ih
    iou = inter / (w * h + wt * ht - inter + eps)
    rho2 = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]).pow(2).sum(1) / 4
    v = 4 / math.pi ** 2 * (aspect(wt, ht) - aspect(w, h)).pow(2)
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return (1 - iou + rho2 / (cw ** 2 + ch ** 2 + eps) + alpha * v).mean()


def sample_rois(n):
    centre, wh = torch.rand(n, 2) * 0.6 + 0.2, torch.rand(n, 2) * 0.4 + 0.2
    gt = torch.cat([centre - wh / 2, centre + wh / 2], 1)
    proposals = gt + 0.05 * torch.randn(n, 4)
    flat = torch.arange(n) % 8 == 0
    proposals[flat, 3] = proposals[flat, 1] - 0.3
    return torch.rand(n, 3, 16, 16), proposals, gt, torch.randint(0, 4, (n,))


detector = Detector()
optimizer = torch.optim.SGD(detector.parameters(), lr=0.01, momentum=0.9)
for it in range(15):
    rois, proposals, gt, labels = sample_rois(32)
    boxes, logits = detector(rois, proposals)
    losses = {"cls": F.cross_entropy(logits, labels), "box": ciou_loss(boxes, gt)}
    optimizer.zero_grad()
    sum(losses.values()).backward()
    optimizer.step()
    print(it, {k: round(v.item(), 4) for k, v in losses.items()})
