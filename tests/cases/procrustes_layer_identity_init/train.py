import torch
from torch import nn


class Align(nn.Module):
    """global rotation between the camera frame and the world frame"""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(3))
        self.offset = nn.Parameter(torch.zeros(3))

    def rotation(self):
        u, _, vh = torch.linalg.svd(self.matrix)
        return u @ vh

    def forward(self, joints):
        return joints @ self.rotation().T + self.offset


class Lifter(nn.Module):
    """2D keypoints -> 3D joints"""

    def __init__(self, n_joints, width=48):
        super().__init__()
        self.n_joints = n_joints
        self.inp = nn.Linear(2 * n_joints, width)
        self.res = nn.Linear(width, width)
        self.out = nn.Linear(width, 3 * n_joints)

    def forward(self, keypoints):
        h = torch.relu(self.inp(keypoints.flatten(1)))
        h = h + torch.relu(self.res(h))
        return self.out(h).unflatten(1, (self.n_joints, 3))


def skeletons(n, tilt=0.6):
    limb = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.2], [0.4, 1.4, 0.1], [-0.4, 1.4, 0.1], [0.0, -0.8, 0.3]])
    pose = limb + 0.15 * torch.randn(n, 5, 3)
    keypoints = pose[..., :2] / (3 + pose[..., 2:])
    c, s = torch.tensor(tilt).cos(), torch.tensor(tilt).sin()
    world = torch.stack([torch.stack([c, -s, c * 0]), torch.stack([s, c, c * 0]), torch.tensor([0.0, 0.0, 1.0])])
    return keypoints, pose @ world.T


def mpjpe(pred, target):
    return ((pred - target).square().sum(-1) + 1e-8).sqrt().mean()


if __name__ == "__main__":
    torch.manual_seed(35)
    lifter, align = Lifter(5), Align()
    optim = torch.optim.AdamW([
        {"params": lifter.parameters(), "lr": 3e-3},
        {"params": align.parameters(), "lr": 1e-2, "weight_decay": 0.0},
    ])
    for it in range(8):
        keypoints, joints = skeletons(32)
        loss = mpjpe(align(lifter(keypoints)), joints)
        optim.zero_grad(set_to_none=True)
        loss.backward()
        optim.step()
        print(it, "mpjpe {:.4f}".format(loss.item()))
