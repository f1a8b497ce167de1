import torch
from torch import nn
import torch.nn.functional as F


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.rot = nn.Linear(32, 4)
        self.trans = nn.Linear(32, 3)
        nn.init.zeros_(self.rot.weight)
        nn.init.zeros_(self.rot.bias)

    def forward(self, x):
        h = self.backbone(x)
        q = self.rot(h)
        q = q / q.norm(dim=-1, keepdim=True)
        return q, self.trans(h)


def pose_loss(q, t, q_true, t_true):
    return (1 - (q * q_true).sum(-1).pow(2)).mean() + F.l1_loss(t, t_true)


def run(epochs=5):
    torch.manual_seed(0)
    pose = PoseNet()
    opt = torch.optim.AdamW(pose.parameters(), lr=1e-3)
    for epoch in range(epochs):
        x = torch.randn(32, 40)
        q_true = F.normalize(torch.cat([torch.ones(32, 1), 0.3 * x[:, :3]], 1), dim=1)
        q, t = pose(x)
        loss = pose_loss(q, t, q_true, x[:, 3:6])
        opt.zero_grad()
        loss.backward()
        opt.step()
        print("epoch", epoch, "loss", loss.item())


run()
