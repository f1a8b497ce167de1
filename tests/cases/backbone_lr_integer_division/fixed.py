import torch
from torch import nn

CONFIG = dict(
    solver=dict(base_lr=1e-2, backbone_multiplier=1 / 10, steps=24),
    model=dict(width=12, joints=3),
    data=dict(batch=32, size=10),
)


def make_backbone(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.LeakyReLU(0.1),
        nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(0.1))


class SoftArgmaxHead(nn.Module):
    def __init__(self, width, joints, size):
        super().__init__()
        self.heat = nn.Conv2d(width, joints, 1)
        axis = torch.linspace(-1, 1, size)
        self.register_buffer("grid", torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).view(-1, 2))

    def forward(self, features):
        prob = (4 * self.heat(features)).flatten(2).softmax(-1)
        return prob @ self.grid


def param_groups(cfg, backbone, head):
    lr = cfg["base_lr"]
    yield {"params": head.parameters(), "lr": lr}
    yield {"params": backbone.parameters(), "lr": lr * cfg["backbone_multiplier"]}


def stick_figures(batch, size, joints=3):
    where = torch.randint(1, size - 1, (batch, joints, 2))
    img = 0.05 * torch.randn(batch, 1, size, size)
    for j in range(joints):
        img[torch.arange(batch), 0, where[:, j, 0], where[:, j, 1]] += j + 1.0
    return img, where / (size - 1) * 2.0 - 1.0


def main(cfg):
    torch.manual_seed(19)
    backbone = make_backbone(cfg["model"]["width"])
    keypoint_head = SoftArgmaxHead(cfg["model"]["width"], cfg["model"]["joints"], cfg["data"]["size"])
    groups = param_groups(cfg["solver"], backbone, keypoint_head)
    optimizer = torch.optim.Adam(list(groups), lr=cfg["solver"]["base_lr"])
    for step in range(cfg["solver"]["steps"]):
        img, target = stick_figures(**cfg["data"])
        loss = (keypoint_head(backbone(img)) - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{step}: {loss.item():.4f}")


main(CONFIG)
