import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(167)


class Cascade(nn.Module):
    """Each stage refines the box of the one before."""

    def __init__(self, stages=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(18, 24), nn.ReLU())
        self.stages = nn.ModuleList([nn.Linear(24 + 4, 4) for _ in range(stages)])

    def forward(self, roi):
        feat = self.backbone(roi)
        box, boxes = torch.zeros(len(roi), 4), []
        for stage in self.stages:
            box = box + stage(torch.cat([feat, box], -1))
            boxes.append(box)
        return boxes


def main():
    cascade = Cascade()
    optimizer = torch.optim.SGD(cascade.parameters(), lr=0.02)
    for it in range(4):
        roi = torch.randn(16, 18)
        truth = roi[:, :4].sigmoid()
        optimizer.zero_grad()
        total = 0.0
        for box in cascade(roi):
            total = total + F.smooth_l1_loss(box, truth)
        total.backward()
        optimizer.step()
        print(f"it {it} cascade loss {total.item():.4f}")


main()
