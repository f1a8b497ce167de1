import torch
from torch import nn


class ViewPooling(nn.Module):
    """a weighted mean over the cameras of a rig"""

    def __init__(self, width):
        super().__init__()
        self.quality = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, 1))

    def forward(self, views):
        strength = self.quality(views).exp()
        weight = strength / strength.sum(1, keepdim=True)
        return (weight * views).sum(1)


class PoseNet(nn.Module):
    def __init__(self, pixels=24, width=20):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, width), nn.Tanh())
        self.pooling = ViewPooling(width)
        self.head = nn.Linear(width, 3)

    def forward(self, images):
        return self.head(self.pooling(self.encoder(images)))


def recordings(cameras):
    mixing = torch.randn(3, 24)
    while True:
        pose = torch.randn(40, 3)
        yield (pose @ mixing)[:, None] + 0.3 * torch.randn(40, cameras, 24), pose


torch.manual_seed(5)
net = PoseNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
rig = recordings(cameras=4)
for step in range(8):
    images, pose = next(rig)
    loss = nn.functional.mse_loss(net(images), pose)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
