from collections import OrderedDict

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint_sequential


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, stride=2, padding=1), nn.ReLU())


class Detector(nn.Module):
    def __init__(self, segments=3):
        super().__init__()
        self.segments = segments
        self.backbone = nn.Sequential(OrderedDict(stem=conv(3, 6), body=conv(6, 8), top=nn.Conv2d(8, 8, 3, padding=1)))
        self.neck = nn.Conv2d(8, 8, 1)
        self.box = nn.Conv2d(8, 4, 1)

    def forward(self, image):
        feat = checkpoint_sequential(self.backbone, self.segments, image, use_reentrant=True)
        return self.box(torch.relu(self.neck(feat)))


class Loop:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def __call__(self, n):
        for i in range(n):
            image = torch.rand(4, 3, 16, 16)
            target = nn.functional.adaptive_avg_pool2d(image, 4).repeat(1, 2, 1, 1)[:, :4]
            loss = (self.model(image) - target).abs().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            print(i, f"{loss.item():.4f}")


torch.manual_seed(315)
detector = Detector()
Loop(detector)(4)
