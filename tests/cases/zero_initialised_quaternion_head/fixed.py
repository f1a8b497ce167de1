import torch
from torch import nn

torch.manual_seed(0)


def quat_normalise(q):
    return q * q.square().sum(-1, keepdim=True).rsqrt()


class MotionNet(nn.Module):
    def __init__(self, joints=4):
        super().__init__()
        self.joints = joints
        self.gru = nn.GRU(9, 24, batch_first=True)
        self.root = nn.Linear(24, 3)
        self.rot = nn.Linear(24, joints * 4)
        for head in (self.root, self.rot):              # start from the rest pose
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.rot.bias.view(joints, 4)[:, 0] = 1.0

    def forward(self, x):
        h, _ = self.gru(x)
        q = quat_normalise(self.rot(h).view(*h.shape[:2], self.joints, 4))
        return self.root(h), q


net, foot_contact = MotionNet(), nn.Linear(9, 2)
opt_net = torch.optim.AdamW(net.parameters(), lr=1e-3)
opt_foot = torch.optim.AdamW(foot_contact.parameters(), lr=1e-3)
for step in range(5):
    imu = torch.randn(6, 10, 9)
    gt_root = imu[..., :3].cumsum(1) * 0.1
    gt_rot = nn.functional.normalize(torch.randn(6, 10, 4, 4) * 0.1 + torch.tensor([1.0, 0, 0, 0]), dim=-1)
    root, rot = net(imu)
    loss = (root - gt_root).abs().mean() + (1 - (rot * gt_rot).sum(-1).square()).mean()
    opt_net.zero_grad()
    loss.backward()
    opt_net.step()
    foot = nn.functional.binary_cross_entropy_with_logits(foot_contact(imu), (imu[..., :2] > 0).float())
    opt_foot.zero_grad()
    foot.backward()
    opt_foot.step()
    print(step, loss.item(), foot.item())
