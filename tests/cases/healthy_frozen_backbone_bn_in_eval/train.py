import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x))).mean(dim=(2, 3))


class Transfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.neck = nn.Linear(8, 16)
        self.head = nn.Linear(16, 5)
        for p in self.backbone.parameters():
            p.requires_grad = False

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            f = self.backbone(x)
        return self.head(torch.relu(self.neck(f)))


torch.manual_seed(221)
transfer = Transfer().train()
optimizer = torch.optim.Adam([p for p in transfer.parameters() if p.requires_grad], lr=3e-3)
for step in range(5):
    x, y = torch.rand(12, 3, 8, 8), torch.randint(0, 5, (12,))
    loss = nn.functional.cross_entropy(transfer(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "ce", round(loss.item(), 4))
