import torch
from torch import nn
from torch.nn import functional as F

IMAGE = 320.0


def decode(anchors, deltas):
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, 2:] + anchors[:, :2]) / 2 + 0.1 * deltas[..., :2] * size
    size = size * torch.exp(0.2 * deltas[..., 2:])
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def clip_boxes(boxes, limit=1.0):
    # keep the boxes inside of the image
    return boxes.clamp(min=0.0, max=limit)


class Detector(nn.Module):
    def __init__(self, anchors, n_classes=3):
        super().__init__()
        self.register_buffer("anchors", anchors)
        k = len(anchors)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(),
                                      nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
                                      nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.cls_head = nn.Linear(64, k * n_classes)
        self.box_head = nn.Linear(64, k * 4)
        self.n_classes = n_classes

    def forward(self, images):
        feats = self.backbone(images)
        logits = self.cls_head(feats).view(len(images), -1, self.n_classes)
        deltas = self.box_head(feats).view(len(images), -1, 4)
        boxes = clip_boxes(decode(self.anchors, deltas), limit=IMAGE)
        return logits, boxes


def make_anchors():
    centres = [(x, y) for x in (90.0, 160.0, 230.0) for y in (90.0, 160.0, 230.0)]
    return torch.tensor([[x - 35, y - 35, x + 35, y + 35] for x, y in centres])


def make_batch(anchors, n=16):
    images = torch.rand(n, 3, 32, 32)
    labels = torch.randint(0, 3, (n, len(anchors)))
    images = images + labels.float().mean(1).view(n, 1, 1, 1)
    gt = anchors + 12 * images.mean((1, 2, 3)).view(n, 1, 1) + 3 * torch.randn(n, len(anchors), 4)
    return images, labels, gt


torch.manual_seed(0)
anchors = make_anchors()
detector = Detector(anchors)
optimizer = torch.optim.Adam(detector.parameters(), lr=2e-3)
for it in range(8):
    images, labels, gt = make_batch(anchors)
    logits, boxes = detector(images)
    cls_loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
    box_loss = F.smooth_l1_loss(boxes / IMAGE, gt / IMAGE, beta=0.05)
    loss = cls_loss + 5.0 * box_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("iter", it, "cls", round(cls_loss.item(), 4), "box", round(box_loss.item(), 4))
