import torch
from torch import nn
from losses import FocalLoss


class Seg(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
        self.edge = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x):
        return self.unet(x), self.edge(x)


torch.manual_seed(2)
seg = Seg()
focal = FocalLoss(gamma=0.5)
bce = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(seg.parameters(), lr=2e-3)

for step in range(8):
    x = torch.randn(4, 2, 12, 12)
    if step == 4:
        x[0, :, 2:6, 2:6] = 500.0            # specular highlight
    mask = (x[:, :1] > 0).float()
    edges = (x[:, :1].diff(dim=3, append=x[:, :1, :, -1:]).abs() > 1).float()
    mask_logit, edge_logit = seg(x)
    loss = focal(mask_logit, mask) + bce(edge_logit, edges)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("step", step, "loss", loss.item())
