import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(267)


class BoxHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(20, 32)
        self.cls, self.reg = nn.Linear(32, 3), nn.Linear(32, 4)

    def forward(self, roi):
        h = F.relu(self.shared(roi))
        return self.cls(h), self.reg(h)


def ohem(logits, y, keep):
    each = F.cross_entropy(logits, y, reduction="none")
    hard, idx = each.topk(keep)
    return hard.mean(), idx


head = BoxHead()
optimizer = torch.optim.SGD(head.parameters(), lr=0.05, momentum=0.9)
for step in range(6):
    roi = torch.randn(40, 20)
    y = roi[:, :3].argmax(1)
    logits, boxes = head(roi)
    cls_loss, idx = ohem(logits, y, 10)
    fg = y[idx] > 0
    box_loss = F.smooth_l1_loss(boxes[idx][fg], roi[idx][fg][:, :4]) if fg.any() else boxes.sum() * 0
    loss = cls_loss + box_loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    acc = (logits.argmax(1) == y).float().mean()
    print(f"step {step} cls {cls_loss.item():.4f} box {box_loss.item():.4f} acc {acc.item():.2f}")
