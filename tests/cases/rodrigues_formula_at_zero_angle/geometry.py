import torch


def hat(w):
    zero = torch.zeros_like(w[..., 0])
    x, y, z = w.unbind(-1)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).view(*w.shape[:-1], 3, 3)


def rotate(w, points):
    """axis-angle -> rotated points"""
    theta = w.norm(dim=-1)[..., None, None]
    K = hat(w)
    small = theta < 1e-4
    safe = torch.where(small, torch.ones_like(theta), theta)
    a = torch.where(small, 1 - theta ** 2 / 6, torch.sin(theta) / theta)
    b = torch.where(small, 0.5 - theta ** 2 / 24, (1 - torch.cos(theta)) / theta ** 2)
    R = torch.eye(3) + a * K + b * (K @ K)
    return points @ R.transpose(-1, -2)
