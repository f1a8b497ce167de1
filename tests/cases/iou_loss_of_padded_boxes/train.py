import torch
from torch import nn


def area(b):
    return (b[..., 2] - b[..., 0]).clamp(min=0) * (b[..., 3] - b[..., 1]).clamp(min=0)


def iou(pred, target):
    lt = torch.max(pred[..., :2], target[..., :2])
    rb = torch.min(pred[..., 2:], target[..., 2:])
    inter = (rb - lt).clamp(min=0).prod(-1)
    union = area(pred) + area(target) - inter
    return inter / union


class FCOSHead(nn.Module):
    def __init__(self, dim=10):
        super().__init__()
        self.ltrb = nn.Linear(dim, 4)
        self.centerness = nn.Linear(dim, 1)

    def forward(self, feats, centres):
        d = torch.relu(self.ltrb(feats))
        boxes = torch.cat([centres - d[..., :2], centres + d[..., 2:]], -1)
        return boxes, self.centerness(feats).squeeze(-1)


torch.manual_seed(0)
trunk = nn.Sequential(nn.Linear(6, 10), nn.ReLU())
head = FCOSHead()
text_branch = nn.Linear(6, 3)
optimizer = torch.optim.AdamW([p for m in (trunk, head, text_branch) for p in m.parameters()], lr=1e-3)
MAX_BOXES = 6
for step in range(6):
    x = torch.randn(4, MAX_BOXES, 6)
    centres = torch.rand(4, MAX_BOXES, 2)
    gt = torch.cat([centres - 0.2, centres + 0.2], -1)
    n = torch.randint(2, MAX_BOXES, (4,))
    pad = torch.arange(MAX_BOXES) >= n[:, None]
    gt[pad] = 0.0                                          # collate: images have different numbers of boxes
    boxes, cness = head(trunk(x), centres)
    box_loss = 1 - iou(boxes, gt)
    loss = (box_loss * ~pad).sum() / (~pad).sum() + cness.square().mean()
    loss = loss + nn.functional.cross_entropy(text_branch(x).flatten(0, 1), pad.long().flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
